"""The npm packages as their users get them: packed, installed into an empty project, bundled."""

import asyncio
import functools
import json
import subprocess
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import mkdtemp
from urllib.parse import urlsplit

from tests.clients.toolchains import NODE, require
from tests.support.compose import ROOT
from tests.support.origins import SITE

CLIENTS = ROOT / "clients"
SCOPE = "@parley/"
# Under a policy the microphone's worklet has to be a file, and no data URL.
VITE_CONFIG = """
export default {
  build: {
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rollupOptions: { external: ["zego-express-engine-webrtc"] },
  },
};
"""


def npm(*words: str, folder: Path) -> None:
    """Run npm in a folder; fails the test with what it says."""
    run("npm", *words, folder=folder)


def run(*words: str, folder: Path) -> None:
    """Run a command in a folder; fails the test with what it says."""
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"


@functools.cache
def packed() -> Mapping[str, Path]:
    """Build and pack all packages, once; by their names. Skips the test without Node."""
    require(NODE)
    npm("ci", folder=CLIENTS)
    npm("run", "build", "--workspaces", folder=CLIENTS)
    folder = Path(mkdtemp(prefix="parley-packages-"))
    npm("pack", "--workspaces", "--pack-destination", str(folder), folder=CLIENTS)
    return {f"{SCOPE}{file.name.split('-')[1]}": file for file in folder.glob("*.tgz")}


def bundled(
    project: Path, *, packages: Sequence[str], others: Mapping[str, str] | None = None
) -> Path:
    """Install packages into an empty project, which has its sources, and bundle it with Vite.

    `others` are packages of the registry with their versions.
    """
    files = packed()
    dependencies = {name: f"file:{files[name]}" for name in packages} | dict(others or {})
    described = {"name": "shop", "private": True, "type": "module", "dependencies": dependencies}
    (project / "package.json").write_text(json.dumps(described))
    (project / "vite.config.js").write_text(VITE_CONFIG)
    npm("install", "--no-audit", "--no-fund", "--ignore-scripts", folder=project)
    run(str(CLIENTS / "node_modules" / ".bin" / "vite"), "build", folder=project)
    return project / "dist"


@asynccontextmanager
async def serving(folder: Path, *, policy: str) -> AsyncIterator[None]:
    """Serve the files of a folder as the site, under a security policy.

    By a real server: Chromium asks for a worklet behind the back of those who answer in its place.
    """

    class Handler(SimpleHTTPRequestHandler):
        def end_headers(self) -> None:
            self.send_header("Content-Security-Policy", policy)
            super().end_headers()

    port = urlsplit(SITE).port
    assert port is not None
    handler = functools.partial(Handler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            await asyncio.to_thread(server.shutdown)
            thread.join()
