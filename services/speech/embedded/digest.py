"""SHA-256 of files."""

import hashlib
from collections.abc import Callable
from pathlib import Path

_CHUNK = 1 << 20


def file_sha256(path: Path, report: Callable[[int], None] = lambda done: None) -> str:
    """The file's SHA-256 in hex; `report` is told how many bytes have been read."""
    digest = hashlib.sha256()
    done = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            done += len(chunk)
            report(done)
    return digest.hexdigest()
