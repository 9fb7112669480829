"""Doubao's recognizer: one utterance on a connection, and an answer whenever the result changes."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from services.speech.vendors.volcengine.frames import Frame, FrameType
from services.speech.vendors.volcengine_transcription import VENDOR
from tests.conformance.script import WORD_S, Heard, Utterance
from tests.conformance.servers.volcengine_frames import (
    UNKNOWN_TYPE,
    FrameServer,
    numbered,
    received,
)
from tests.conformance.socket_server import Connection
from tests.conformance.subject import NO_OLD_CONNECTIONS, Subject

TURN_SILENCE_MS = 1_000


class TranscriptionServer(FrameServer[Heard]):
    """A server of the big model."""

    path = "/api/v3/sauc/bigmodel_async"
    garbage = numbered({"result": {"text": 5}}, 1)
    unknown = (
        "a text",
        Frame(type=UNKNOWN_TYPE, payload=b"?").encode(),
        numbered({"result": {"additions": {"log_id": "1"}}, "applause": 3}, 1),
    )

    def __init__(self) -> None:
        super().__init__()
        self.utterance = Utterance()
        self.ending: bytes | None = None
        """What comes in place of the final answer."""
        self.repeats = False
        """Whether each packet is answered, and with the last answer if there is no other."""
        self.requests: list[Mapping[str, Any]] = []

    async def converse(self, connection: Connection[Heard]) -> None:
        """Hear one utterance."""
        request = (await received(connection)).document
        self.requests.append(request)
        session = connection.begin(Heard(hot_words=_hot_words(request["request"])))
        if await self.refuses(connection):
            return
        answers = iter(self._answers())
        while not session.is_finished:
            frame = await received(connection)
            assert frame.type == FrameType.SOUND
            session.audio += frame.payload
            session.is_finished = frame.is_last
            if frame.is_last:
                break
            rest = [(self.utterance.final, True)] if self.repeats else []
            for text, is_definite in next(answers, rest):
                result = _result(text, is_definite=is_definite)
                await connection.answer(numbered(result, 1))
        session.has_ended = True
        final = numbered(_result(self.utterance.final, is_definite=True), 2, is_last=True)
        await connection.answer(self.ending or final)
        async for _ in connection:
            pass

    def _answers(self) -> Sequence[Sequence[tuple[str, bool]]]:
        """Return what answers each packet: texts, and whether they are complete sentences."""
        partials = [[(text, False)] for text in self.utterance.partials]
        if not self.utterance.ends_itself:
            return partials
        first, final = self.utterance.partials[-1], self.utterance.final
        return [*partials, [(first, True), (final, False), (final, True)]]


def _hot_words(wanted: Mapping[str, Any]) -> tuple[str, ...]:
    corpus = wanted.get("corpus", {})
    if "context" not in corpus:
        return ()
    return tuple(each["word"] for each in json.loads(corpus["context"])["hotwords"])


def _result(text: str, *, is_definite: bool = False) -> dict[str, Any]:
    words = [
        {
            "text": word.strip(",."),
            "start_time": round(1000 * place * WORD_S),
            "end_time": round(1000 * (place + 1) * WORD_S),
            "blank_duration": 0,
        }
        for place, word in enumerate(text.split())
    ]
    utterance = {
        "text": text,
        "start_time": 0,
        "end_time": words[-1]["end_time"] if words else 0,
        "definite": is_definite,
        "words": words,
    }
    return {
        "audio_info": {"duration": 1000},
        "result": {"text": text, "utterances": [utterance] if words else []},
    }


SUBJECTS = (
    Subject(
        name="volcengine",
        vendor=VENDOR,
        server=TranscriptionServer.open,
        options={"turn_silence_ms": TURN_SILENCE_MS},
        without={**NO_OLD_CONNECTIONS, "language": "the model knows its languages by itself"},
    ),
)
