"""Whether a speaker who pauses has finished, by Smart Turn."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Self

import numpy as np

from services.speech.embedded.inference import InferenceSession, open_session
from services.speech.embedded.mel import Floats, log_mel, samples_from_pcm
from services.speech.embedded.worker import Worker, open_worker
from services.speech.ports.recognition import LISTENING_RATE_HERTZ

_HEARD_SAMPLES = 8 * LISTENING_RATE_HERTZ


class SmartTurnModel:
    """Judges the last 8 s of an utterance by its intonation and words, in 23 languages."""

    def __init__(self, session: InferenceSession, *, worker: Worker) -> None:
        self._session = session
        self._worker = worker

    @classmethod
    @contextlib.asynccontextmanager
    async def load(cls, path: Path, *, threads: int) -> AsyncIterator[Self]:
        """Load and warm up the model."""
        async with open_worker("smart-turn") as worker:
            session = await worker.load(_load, path, threads)
            model = cls(session, worker=worker)
            await model.completion_probability(b"")
            yield model

    async def completion_probability(self, pcm: bytes) -> float:
        return await self._worker.run(self._judge, pcm)

    def _judge(self, pcm: bytes) -> float:
        features = _features(samples_from_pcm(pcm[-2 * _HEARD_SAMPLES :]))
        [probability] = self._session.run(None, {"input_features": features[None]})
        return float(probability.item())


def _load(path: Path, threads: int) -> InferenceSession:
    return open_session(path.read_bytes(), threads=threads)


def _features(samples: Floats) -> Floats:
    """Return shape (80, 800): silence, then the speech."""
    heard = np.pad(samples, (_HEARD_SAMPLES - len(samples), 0))
    return log_mel((heard - heard.mean()) / np.sqrt(heard.var() + 1e-7))
