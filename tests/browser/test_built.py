"""What browsers load was built from the sources as they are."""

import hashlib
import json
import re
from pathlib import Path

from engine.routes.face_files import MODULE

WEB = Path(__file__).parents[2] / "gateway" / "web"
BLENDSHAPE = WEB / "src" / "blendshape"


def test_the_page() -> None:
    built_from = json.loads((WEB / "dist" / "sources.json").read_text())
    single = [
        *("index.html", "openapi.json", "package-lock.json", "package.json"),
        *("tsconfig.json", "vite.config.ts"),
    ]
    folders = [path for name in ("public", "src") for path in (WEB / name).rglob("*")]
    sources = [WEB / name for name in single] + [path for path in folders if path.is_file()]
    digests = {
        path.relative_to(WEB).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
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
