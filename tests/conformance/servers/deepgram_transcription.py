"""Deepgram: both versions of its API, as its AsyncAPI document has them."""

import json
from typing import Any

from services.runtime.pcm import duration_s
from services.speech.ports.recognition import LISTENING_RATE_HERTZ
from services.speech.vendors.deepgram_transcription import VENDOR
from tests.conformance.script import WORD_S, Heard, Utterance
from tests.conformance.socket_server import Connection, SocketServer
from tests.conformance.subject import NO_OLD_CONNECTIONS, Subject

UNKNOWN = (json.dumps({"type": "Applause", "channel": 5}), json.dumps({"applause": True}))


class NovaServer(SocketServer[Heard]):
    """Version 1: utterances on one connection, each ended by `Finalize`."""

    garbage = json.dumps({"type": "Results", "channel": {"alternatives": 5}})
    unknown = UNKNOWN

    def __init__(self) -> None:
        super().__init__()
        self.utterance = Utterance()
        self.signs: list[str] = []
        """The kinds of all messages but sound."""

    async def converse(self, connection: Connection[Heard]) -> None:
        """Hear utterances until the stream is closed."""
        assert connection.path == "/v1/listen"
        assert connection.query["sample_rate"] == ["16000"]
        session: Heard | None = None
        heard = 0
        async for message in connection:
            if isinstance(message, bytes):
                session = session or connection.begin(_heard(connection))
                await self._hear(connection, session, message, heard)
                continue
            self.signs.append(json.loads(message)["type"])
            if self.signs[-1] == "CloseStream":
                await connection.say(json.dumps({"type": "Metadata", "request_id": "r"}))
                await connection.close(1000, "")
            if self.signs[-1] == "Finalize" and session is not None:
                session.is_finished = True
                await self.finalize(connection, heard)
                session.has_ended = True
                heard += len(session.audio)
                session = None

    async def _hear(
        self, connection: Connection[Heard], session: Heard, packet: bytes, heard: int
    ) -> None:
        if session.packets < len(self.utterance.partials):
            await self.tell(connection, self.utterance.partials[session.packets], heard)
        session.packets += 1
        session.audio += packet

    async def finalize(self, connection: Connection[Heard], heard: int) -> None:
        """Tell what is recognized of an utterance that begins after so many bytes."""
        first, _, rest = self.utterance.final.partition(" ")
        await self.tell(connection, first, heard, is_final=True)
        if rest:
            await self.tell(connection, rest, heard, skip=1, is_final=True)
        await self.tell(connection, "", heard, is_final=True, from_finalize=True)

    async def tell(
        self, connection: Connection[Heard], text: str, heard: int, *, skip: int = 0, **how: bool
    ) -> None:
        """Tell a piece of an utterance, the words before it skipped."""
        offset_s = duration_s(heard, LISTENING_RATE_HERTZ) + skip * WORD_S
        best = {"transcript": text, "confidence": 0.9, "words": words(text, offset_s)}
        result = {"type": "Results", "start": offset_s, "duration": 1, "is_final": False, **how}
        await connection.answer(json.dumps({**result, "channel": {"alternatives": [best]}}))


class FluxServer(SocketServer[Heard]):
    """Version 2: a connection hears turns until the stream is closed."""

    garbage = json.dumps({"type": "TurnInfo", "event": "Update"})
    unknown = UNKNOWN

    def __init__(self) -> None:
        super().__init__()
        self.utterance = Utterance()

    async def converse(self, connection: Connection[Heard]) -> None:
        """Hear one utterance."""
        assert connection.path == "/v2/listen"
        session = connection.begin(_heard(connection))
        await connection.say(json.dumps({"type": "Connected", "request_id": "r"}))
        async for message in connection:
            if isinstance(message, str):
                assert json.loads(message) == {"type": "CloseStream"}
                session.is_finished = True
                if not self.utterance.ends_itself:
                    await self.tell(connection, "Update", self.utterance.final)
                await connection.close(1000, "")
                return
            place = session.packets
            session.packets += 1
            session.audio += message
            if place < len(self.utterance.partials):
                event = "Update" if place else "StartOfTurn"
                await self.tell(connection, event, self.utterance.partials[place])
            elif place == len(self.utterance.partials) and self.utterance.ends_itself:
                last = self.utterance.partials[-1]
                await self.tell(connection, "EagerEndOfTurn", last)
                await self.tell(connection, "TurnResumed", last)
                await self.tell(connection, "EagerEndOfTurn", self.utterance.final)
                await self.tell(connection, "EndOfTurn", self.utterance.final)

    async def tell(self, connection: Connection[Heard], event: str, text: str) -> None:
        turn: dict[str, Any] = {"type": "TurnInfo", "event": event, "turn_index": 0}
        await connection.answer(json.dumps({**turn, "transcript": text, "words": words(text)}))


def words(text: str, offset_s: float = 0.0) -> list[dict[str, Any]]:
    """Return the words of a text with their times."""
    return [
        {
            "word": word.strip(".,").lower(),
            "punctuated_word": word,
            "start": offset_s + place * WORD_S,
            "end": offset_s + (place + 1) * WORD_S,
            "confidence": 0.9,
        }
        for place, word in enumerate(text.split())
    ]


def _heard(connection: Connection[Heard]) -> Heard:
    query = connection.query
    return Heard(
        languages=tuple(query.get("language", query.get("language_hint", ()))),
        hot_words=tuple(query.get("keyterm", ())),
    )


_CALLER_ENDS = "version 1 of the API leaves the end of an utterance to its caller"

SUBJECTS = (
    Subject(
        name="deepgram",
        vendor=VENDOR,
        server=NovaServer.open,
        without={"turn_end": _CALLER_ENDS, "likely_turn_end": _CALLER_ENDS},
    ),
    Subject(
        name="deepgram-flux",
        vendor=VENDOR,
        server=FluxServer.open,
        options={"model": "flux-general-multi"},
        without={
            **NO_OLD_CONNECTIONS,
            "early_end": "the end of the connection is the end of the answer",
        },
    ),
)
