"""Doubao's voices: each text is a sentence, and each of its characters a word."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from services.speech.vendors.pooled_speech import SAMPLE_RATE_HERTZ
from services.speech.vendors.volcengine.frames import Frame, FrameType
from services.speech.vendors.volcengine.sessions import EventCode
from services.speech.vendors.volcengine_speech import VENDOR
from tests.conformance.script import Spoken, pieces, sound_of, sounds_at
from tests.conformance.servers.volcengine_frames import UNKNOWN_TYPE, FrameServer, received
from tests.conformance.socket_server import Connection
from tests.conformance.subject import Subject

CONNECTION_ID = "connection-1"
FAILURE = {"status_code": 45_000_030, "message": "the voice is not granted"}


def response(event: int, document: Mapping[str, Any], subject_id: str) -> bytes:
    """Return a frame of a document."""
    payload = json.dumps(document, ensure_ascii=False).encode()
    return Frame(
        type=FrameType.RESPONSE, payload=payload, event=event, subject_id=subject_id
    ).encode()


class SpeechServer(FrameServer[Spoken]):
    """A server of the voices; `times` says where the times of words are and count from."""

    path = "/api/v3/tts/bidirection"
    garbage = bytes((0x11, 0xB4, 0, 0, 0, 0))
    unknown = (
        "a text",
        Frame(type=UNKNOWN_TYPE, payload=b"?").encode(),
        response(EventCode.SENTENCE_END, {"text": "Applause."}, "another-session"),
    )
    times = "reply"
    is_cancelling = True

    def __init__(self) -> None:
        super().__init__()
        self.starts: list[Mapping[str, Any]] = []
        self.failing: int | None = None
        """The event with which it fails."""

    async def converse(self, connection: Connection[Spoken]) -> None:
        """Run one session after the other."""
        assert (await received(connection)).event == EventCode.START_CONNECTION
        if await self.refuses(connection):
            return
        if self.failing == EventCode.CONNECTION_FAILED:
            await connection.refuse(response(self.failing, FAILURE, CONNECTION_ID))
            return
        await connection.say(response(EventCode.CONNECTION_STARTED, {}, CONNECTION_ID))
        while True:
            start = await received(connection)
            if start.event == EventCode.CANCEL_SESSION:
                continue  # It is for the session that has just finished.
            assert start.event == EventCode.START_SESSION
            wanted = start.document["req_params"]
            self.starts.append(wanted)
            spoken = connection.begin(_begun(wanted))
            if await self.refuses(connection):
                return
            if self.failing == EventCode.SESSION_FAILED:
                await connection.refuse(response(self.failing, FAILURE, start.subject_id))
                return
            session = SessionConnection(self, connection, start.subject_id, spoken)
            await connection.say(session.event(EventCode.SESSION_STARTED, {}))
            await session.run()


def _begun(wanted: Mapping[str, Any]) -> Spoken:
    audio = wanted["audio_params"]
    additions = json.loads(wanted.get("additions", "{}"))
    return Spoken(
        voice_id=wanted["speaker"],
        speed=1 + audio["speech_rate"] / 100,
        delivery="".join([*additions.get("context_texts", ()), audio.get("emotion", "")]),
    )


class SessionConnection:
    """A session that the server runs."""

    def __init__(
        self, server: SpeechServer, connection: Connection[Spoken], session_id: str, spoken: Spoken
    ) -> None:
        self._server = server
        self._connection = connection
        self._id = session_id
        self._spoken = spoken

    async def run(self) -> None:
        """Speak until the session is finished or cancelled."""
        texts = asyncio.Queue[str | None]()
        speaking = asyncio.create_task(self._speak(texts))
        reading = asyncio.create_task(self._read(texts))
        try:
            await asyncio.wait({speaking, reading}, return_when=asyncio.FIRST_COMPLETED)
            (reading if reading.done() else speaking).result()
            is_cancelled = reading.done()
        finally:
            speaking.cancel()
            reading.cancel()
            await asyncio.gather(speaking, reading, return_exceptions=True)
            self._spoken.has_ended = True
        if not is_cancelled:
            finished = self.event(EventCode.SESSION_FINISHED, {"status_code": 20_000_000})
            await self._connection.say(finished)
        elif self._server.is_cancelling:
            await self._connection.say(self.event(EventCode.SESSION_CANCELED, {}))

    async def _read(self, texts: "asyncio.Queue[str | None]") -> None:
        """Read texts until the session is cancelled."""
        while (frame := await received(self._connection)).event != EventCode.CANCEL_SESSION:
            assert frame.subject_id == self._id
            if frame.event == EventCode.FINISH_SESSION:
                self._spoken.is_finished = True
                texts.put_nowait(None)
                continue
            assert frame.event == EventCode.TASK_REQUEST
            text = frame.document["req_params"]["text"]
            self._spoken.texts.append(text)
            texts.put_nowait(text)

    async def _speak(self, texts: "asyncio.Queue[str | None]") -> None:
        said = ""
        while (text := await texts.get()) is not None:
            start_s = sounds_at(said, len(said))
            said += text
            await self._connection.say(self.event(EventCode.SENTENCE_START, {"text": text}))
            for pcm in pieces(sound_of(text, SAMPLE_RATE_HERTZ)):
                sound = Frame(
                    type=FrameType.SPEECH, payload=pcm, event=EventCode.SPEECH, subject_id=self._id
                )
                await self._connection.answer(sound.encode())
            zero_s = 0.0 if self._server.times == "sentence" else start_s
            words = {"text": text, "words": _words(text, zero_s)}
            is_at_end = self._server.times != "subtitle"
            end = words if is_at_end else {"text": text}
            await self._connection.say(self.event(EventCode.SENTENCE_END, end))
            if not is_at_end:
                await self._connection.say(self.event(EventCode.SUBTITLE, words))

    def event(self, event: int, document: Mapping[str, Any]) -> bytes:
        """Return an event of this session."""
        return response(event, document, self._id)


def _words(text: str, zero_s: float) -> list[dict[str, Any]]:
    return [
        {
            "word": character,
            "startTime": zero_s + sounds_at(text, place),
            "endTime": zero_s + sounds_at(text, place + 1),
            "confidence": 0.9,
        }
        for place, character in enumerate(text)
        if character.strip()
    ]


class NewerServer(SpeechServer):
    """Its times are in subtitles."""

    times = "subtitle"


class OlderServer(SpeechServer):
    """Its times count from the beginning of each sentence, and it confirms no cancellation."""

    times = "sentence"
    is_cancelling = False


_WITHOUT = {"language": "the voices read Chinese and English without being told"}

SUBJECTS = tuple(
    Subject(name=name, vendor=VENDOR, server=server.open, options=options, without=_WITHOUT)
    for name, server, options in (
        ("volcengine", NewerServer, {}),
        ("volcengine-older", OlderServer, {"app_id": "12345"}),
    )
)
