"""Packs what a program in another language needs of Parley: dist/parley-protos-<version>.tar.gz.

The same sources make the same bytes, on any machine and at any time.
"""

import gzip
import io
import tarfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Contracts of others that ours import; riva is a vendor's, which only Parley itself calls.
THIRD_PARTY = ("buf", "google")
PAGES = {
    "LICENSE": "LICENSE",
    "README.md": "protos/README.md",
    "buf.gen.yaml": "protos/buf.gen.yaml",
    "buf.yaml": "buf.yaml",
    "service_config.json": "services/runtime/channels/service_config.json",
}
"""Files that are not protos, by their path in the bundle."""


def version() -> str:
    """Return the version of this Parley."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return str(tomllib.loads(text)["project"]["version"])


def bundle(folder: Path = ROOT / "dist") -> Path:
    """Write the bundle into a folder, and return its path."""
    name = f"parley-protos-{version()}"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{name}.tar.gz"
    # Neither the name of the file nor the time is part of it.
    with (
        target.open("wb") as file,
        gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for path, source in sorted(_files()):
            content = source.read_bytes()
            entry = tarfile.TarInfo(f"{name}/{path}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return target


def _files() -> Iterator[tuple[str, Path]]:
    """Paths in the bundle, and where their content is."""
    for path, source in PAGES.items():
        yield path, ROOT / source
    folders = ("protos", *(f"third_party/{name}" for name in THIRD_PARTY))
    for folder in folders:
        for proto in (ROOT / folder).rglob("*.proto"):
            yield proto.relative_to(ROOT).as_posix(), proto


if __name__ == "__main__":
    print(bundle().relative_to(ROOT))
