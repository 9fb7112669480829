"""Voice detection by earshot."""

import earshot
import numpy as np

FRAME_SAMPLES = 256


class EarshotDetector:
    """Speech or not in 16 ms frames of one stream."""

    def __init__(self) -> None:
        self._detector = earshot.Detector()

    @property
    def frame_bytes(self) -> int:
        return 2 * FRAME_SAMPLES

    def speech_probability(self, frame: bytes) -> float:
        """0..1 for exactly `frame_bytes` bytes."""
        return float(self._detector.predict_i16(np.frombuffer(frame, dtype="<i2")))
