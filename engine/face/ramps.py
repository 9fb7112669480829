"""Soft steps over whole arrays, for everything in a picture without a hard edge."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def ramp(start: float, end: float, values: NDArray[np.floating]) -> Floats:
    """Return 0 before the start, 1 after the end, smooth in between; the end may come first."""
    share = np.clip((values - start) / (end - start), 0.0, 1.0)
    return np.asarray(share * share * (3.0 - 2.0 * share), np.float32)
