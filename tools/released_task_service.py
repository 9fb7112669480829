"""Keeps the task service of a release, which tests run beside the present one.

A rolling update has both versions work on one database for a while. The archive holds the service's
code, with what it imports of this project; its dependencies are the present ones.
"""

from collections.abc import Iterator
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

ROOT = Path(__file__).resolve().parent.parent
ARCHIVE = ROOT / "tests" / "data" / "released_task_service.zip"
PARTS = ("services/runtime", "services/task", "gen/digitalhuman", "gen/buf")
KINDS = frozenset({".py", ".json"})
# The same for every build: the archive changes when the code does.
_TIME = (1980, 1, 1, 0, 0, 0)


def main() -> None:
    """Write the archive."""
    with ZipFile(ARCHIVE, "w", ZIP_DEFLATED) as archive:
        for path in _files():
            name = path.relative_to(ROOT).as_posix().removeprefix("gen/")
            archive.writestr(ZipInfo(name, _TIME), path.read_bytes(), ZIP_DEFLATED)


def _files() -> Iterator[Path]:
    yield ROOT / "services" / "__init__.py"
    for part in PARTS:
        found = (ROOT / part).rglob("*")
        yield from sorted(path for path in found if path.suffix in KINDS)


if __name__ == "__main__":
    main()
