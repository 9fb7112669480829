"""What browsers load was built from the sources as they are."""

import hashlib
import json
import os
import re
from pathlib import Path

from engine.routes.face_files import MODULE

ROOT = Path(__file__).parents[2]
WEB = ROOT / "gateway" / "web"
CLIENT = ROOT / "clients" / "js"
WIDGET = ROOT / "clients" / "widget"
FOLDERS = (CLIENT / "src", WEB / "public", WEB / "src")
BLENDSHAPE = CLIENT / "src" / "blendshape"


def test_the_page() -> None:
    built_from = json.loads((WEB / "dist" / "sources.json").read_text())
    sources = [
        *(CLIENT / name for name in ("package.json", "rolldown.config.js", "tsconfig.json")),
        *(WEB / name for name in ("index.html", "package-lock.json", "package.json")),
        *(WEB / name for name in ("tsconfig.json", "vite.config.ts")),
        *(path for folder in FOLDERS for path in folder.rglob("*") if path.is_file()),
    ]
    digests = {
        os.path.relpath(path, WEB): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sources
    }
    assert built_from == digests, "run `make web` and commit gateway/web/dist"


def test_the_module_that_engines_serve() -> None:
    digest = hashlib.sha256()
    for path in sorted(BLENDSHAPE.iterdir()):
        digest.update(path.read_bytes())
    first_line = MODULE.read_text().partition("\n")[0]
    found = re.search("sha256 ([0-9a-f]{64})", first_line)
    assert found, "run `make web`"
    assert found[1] == digest.hexdigest(), "run `make web`"


def test_the_widget() -> None:
    built_from = json.loads((WEB / "dist" / "clients" / "v1" / "sources.json").read_text())
    sources = [
        CLIENT / "package.json",
        *(WIDGET / name for name in ("package.json", "tsconfig.json", "vite.config.ts")),
        *(path for folder in (CLIENT, WIDGET) for path in (folder / "src").rglob("*")),
    ]
    digests = {
        os.path.relpath(path, WIDGET): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sources
        if path.is_file()
    }
    assert built_from == digests, "run `make web` and commit gateway/web/dist"
