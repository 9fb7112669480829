"""What the recognizer once heard in utterances that tests listen to in every run."""

import hashlib
import inspect
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from services.speech.ports.recognition import RecognitionRequest, Recognizer, Transcript
from services.speech.streams import once

RECORDED = ("text", "no_speech_probability", "language_code")

Heard = dict[str, dict[str, Any]]
"""Transcripts by the utterance."""


class RecalledRecognizer:
    """Recalls the transcripts of utterances that were recorded, and hears all others.

    For tests of what follows from the words: to make them out takes most of such a test's time.
    """

    is_streaming = False
    detects_turn_ends = False

    def __init__(self, recognizer: Recognizer, known: Mapping[str, dict[str, Any]]) -> None:
        self.name = recognizer.name
        self.heard: Heard = {}
        """What was asked for, whether it was known or not."""
        self._recognizer = recognizer
        self._known = known

    async def transcribe(
        self, audio: AsyncIterator[bytes], request: RecognitionRequest
    ) -> AsyncIterator[Transcript]:
        """Yield the final transcript; an utterance is known by all of its samples."""
        pcm = b"".join([piece async for piece in audio])
        asked = " ".join(request.language_codes).encode()
        key = hashlib.sha256(asked + b"\0" + pcm).hexdigest()[:16]
        if key not in self.heard:
            self.heard[key] = self._known.get(key) or await self._hear(pcm, request)
        yield Transcript(is_final=True, **self.heard[key])

    async def _hear(self, pcm: bytes, request: RecognitionRequest) -> dict[str, Any]:
        [heard] = [each async for each in self._recognizer.transcribe(once(pcm), request)]
        return {name: getattr(heard, name) for name in RECORDED}


def recalling(recognizer: Recognizer, file: Path, *, model: str) -> RecalledRecognizer:
    """Recall what a file has; fails the test if another model heard that."""
    recorded = json.loads(file.read_text(encoding="utf-8"))
    if recorded["model"] != model:
        pytest.fail(f"another model heard what {file.name} has: record it anew, with --record")
    return RecalledRecognizer(recognizer, recorded["heard"])


@contextmanager
def hearing_anew(
    recognizer: Recognizer, file: Path, *, model: str, request: pytest.FixtureRequest
) -> Iterator[RecalledRecognizer]:
    """Hear everything, and at the end write it into a file.

    What else the file has remains if not all tests of the fixture that asks for this have passed:
    others need it. What another model heard does not.
    """
    hearing = RecalledRecognizer(recognizer, {})
    yield hearing
    recorded = json.loads(file.read_text(encoding="utf-8"))
    is_kept = recorded["model"] == model and not _have_passed(request)
    heard = (recorded["heard"] if is_kept else {}) | hearing.heard
    lines = (
        f"{json.dumps(key)}: {json.dumps(heard[key], ensure_ascii=False)}" for key in sorted(heard)
    )
    text = f'{{"model": {json.dumps(model)}, "heard": {{\n' + ",\n".join(lines) + "\n}}\n"
    file.write_text(text, encoding="utf-8")


def _have_passed(request: pytest.FixtureRequest) -> bool:
    """Whether all tests of a module that use a fixture have run, and none has failed."""
    users = {
        name
        for name, each in vars(request.module).items()
        if name.startswith("test_") and request.fixturename in inspect.signature(each).parameters
    }
    items = [item for item in request.session.items if item.path == request.path]
    ran = {item.name.partition("[")[0] for item in items}
    return users <= ran and not request.session.testsfailed
