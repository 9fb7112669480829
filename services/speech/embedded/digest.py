"""SHA-256 of files."""

import hashlib
from collections.abc import Callable
from pathlib import Path

_CHUNK = 1 << 20


def file_sha256(path: Path, report: Callable[[int], None] = lambda done: None) -> str:
    """Return the file's SHA-256 in hex; `report` gets the number of bytes read so far."""
    digest = hashlib.sha256()
    done = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            done += len(chunk)
            report(done)
    return digest.hexdigest()
