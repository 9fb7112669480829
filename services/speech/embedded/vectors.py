"""Keeps text embeddings across restarts: the knowledge of all personas takes ten seconds."""

import hashlib
import os
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import structlog

log = structlog.get_logger(__name__)

Vectors = dict[str, npt.NDArray[np.float32]]
MOST_KEPT = 20_000


class VectorFile:
    """A file of vectors by the digest of their text; it holds no text.

    A file that is damaged, or cannot be written, only costs the time that it would have saved.
    Processes may share it: the last to write decides what it holds.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Vectors:
        """Return the vectors; none if the file cannot be read."""
        try:
            with self._path.open("rb") as file, np.load(file) as kept:
                digests, vectors = kept["digests"], kept["vectors"]
            return dict(zip(digests.tolist(), vectors, strict=True))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            log.warning("vectors cannot be read", path=str(self._path))
            return {}

    def write(self, vectors: Mapping[str, npt.NDArray[np.float32]]) -> None:
        """Keep these; if they are too many, the last of them."""
        kept = dict(list(vectors.items())[-MOST_KEPT:])
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._path.parent, delete=False) as file:
                np.savez(file, digests=np.array(list(kept)), vectors=np.stack(list(kept.values())))
            os.replace(file.name, self._path)
        except OSError as error:
            log.warning("vectors cannot be kept", path=str(self._path), error=error.strerror)


def digest(text: str) -> str:
    """Return the key of a text's vector."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def missing(texts: Sequence[str], vectors: Mapping[str, object]) -> list[str]:
    """Return the texts that have no vector yet, each once."""
    return list(dict.fromkeys(text for text in texts if digest(text) not in vectors))
