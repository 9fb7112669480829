"""What the dialogue needs from outside, beside a language model."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt


class Embedder(Protocol):
    """Texts as unit vectors whose dot product is their similarity."""

    async def embed_passages(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return an array of shape (len(texts), dimensions)."""

    async def embed_query(self, text: str) -> npt.NDArray[np.float32]:
        """Return an array of shape (dimensions,)."""
