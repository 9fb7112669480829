"""What the recognizer once heard in utterances that tests listen to in every run."""

import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from services.speech.ports import RecognitionRequest, Recognizer, Transcript
from services.speech.streams import once

RECORDED = ("text", "no_speech_probability", "language_code")


class RecalledRecognizer:
    """Recalls the transcripts of utterances that were recorded, and hears all others.

    For tests of what follows from the words: to make them out takes most of such a test's time.
    """

    is_streaming = False
    detects_turn_ends = False

    def __init__(self, recognizer: Recognizer, known: dict[str, dict[str, Any]]) -> None:
        self.name = recognizer.name
        self._recognizer = recognizer
        self._known = known

    async def transcribe(
        self, audio: AsyncIterator[bytes], request: RecognitionRequest
    ) -> AsyncIterator[Transcript]:
        """Yield the final transcript; an utterance is known by all of its samples."""
        pcm = b"".join([piece async for piece in audio])
        asked = " ".join(request.language_codes).encode()
        key = hashlib.sha256(asked + b"\0" + pcm).hexdigest()[:16]
        if key not in self._known:
            [heard] = [each async for each in self._recognizer.transcribe(once(pcm), request)]
            self._known[key] = {name: getattr(heard, name) for name in RECORDED}
        yield Transcript(is_final=True, **self._known[key])


@contextmanager
def recalling(
    recognizer: Recognizer, file: Path, *, is_recording: bool
) -> Iterator[RecalledRecognizer]:
    """Recall what a file has; or hear everything anew, and write it there at the end."""
    known = {} if is_recording else json.loads(file.read_text(encoding="utf-8"))
    yield RecalledRecognizer(recognizer, known)
    if is_recording:
        lines = (
            f"{json.dumps(key)}: {json.dumps(known[key], ensure_ascii=False)}"
            for key in sorted(known)
        )
        file.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
