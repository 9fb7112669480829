"""When each character of a known text is heard in a recording, by the recognizer's attention."""

from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from services.speech.embedded.mel import HOP, log_mel
from tests.support.embedded import THREADS

RATE_HERTZ = 16_000
FRAME_S = 0.02
CONTEXT_AFTER_SPEECH_S = 4


class Aligner:
    """Whisper's forced alignment: it knows nothing of how the speech was made."""

    def __init__(self, folder: Path) -> None:
        self._model = ctranslate2.models.Whisper(
            str(folder), compute_type="int8", intra_threads=THREADS
        )
        self._tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))

    def starts_s(self, samples: npt.NDArray[np.float32], text: str, language: str) -> list[float]:
        """The time of each character of the text, and the end of the recording."""
        seconds = len(samples) / RATE_HERTZ
        frames = int(2 * (seconds + CONTEXT_AFTER_SPEECH_S)) * RATE_HERTZ // HOP // 2
        features = log_mel(np.pad(samples, (0, frames * HOP - len(samples))))
        prompt = ("<|startoftranscript|>", f"<|{language}|>", "<|transcribe|>", "<|notimestamps|>")
        encoding = self._tokenizer.encode(f" {text}", add_special_tokens=False)
        [found] = self._model.align(
            ctranslate2.StorageView.from_array(features[None]),
            [self._tokenizer.token_to_id(token) for token in prompt],
            [encoding.ids],
            [len(samples) // HOP // 2 * 2],
        )
        token_s: dict[int, float] = {}
        for token, frame in found.alignments:
            token_s.setdefault(token, frame * FRAME_S)
        starts_s = [0.0] * len(text) + [seconds]
        for token, (start, end) in enumerate(encoding.offsets):
            # The space before the text is no character of it.
            for index in range(max(0, start - 1), end - 1):
                starts_s[index] = token_s.get(token, starts_s[index - 1] if index else 0.0)
        return starts_s
