"""The npm packages as their users get them: packed, installed into an empty project, bundled."""

import functools
import json
import mimetypes
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import mkdtemp

from playwright.async_api import Page, Route

from tests.clients.toolchains import NODE, require
from tests.support.compose import ROOT

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


async def serve(page: Page, folder: Path, *, origin: str, policy: str) -> None:
    """Answer requests to a site with the files of a folder, under a security policy."""

    async def answer(route: Route) -> None:
        path = route.request.url.removeprefix(origin).partition("?")[0].strip("/") or "index.html"
        file = folder / path
        if not file.is_file():
            await route.fulfill(status=404)
            return
        kind, _ = mimetypes.guess_type(file.name)
        await route.fulfill(
            body=file.read_bytes(),
            content_type=kind or "application/octet-stream",
            headers={"Content-Security-Policy": policy},
        )

    await page.route(f"{origin}/**", answer)
