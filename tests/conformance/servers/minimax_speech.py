"""MiniMax's voices: one task on a connection, whose sound is written in hexadecimal."""

import asyncio
import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar

from services.speech.vendors.minimax_speech import VENDOR
from services.speech.vendors.pooled_speech import SAMPLE_RATE_HERTZ
from tests.conformance.script import KEY, Spoken, Trouble, pieces, sound_of, sounds_at
from tests.conformance.socket_server import Connection, SocketServer
from tests.conformance.subject import NO_OLD_CONNECTIONS, Subject

FAILURES: Mapping[Trouble, tuple[int, str]] = {
    Trouble.WRONG_KEY: (1004, f"login fail: {KEY} is not a key"),
    Trouble.QUOTA: (1008, "insufficient balance"),
    Trouble.RATE_LIMIT: (1002, "rate limit"),
    Trouble.UNAVAILABLE: (1013, "internal error"),
}
LANGUAGES = {"English": "en", "Chinese": "zh"}


def event(name: str, **members: Any) -> str:
    """Return an event."""
    fine = {"status_code": 0, "status_msg": "success"}
    return json.dumps({"event": name, "trace_id": "trace-1", "base_resp": fine, **members})


class SpeechServer(SocketServer[Spoken]):
    """A server of the voices."""

    path = "/ws/v1/t2a_v2"
    refusals: ClassVar[Mapping[Trouble, HTTPStatus]] = {}
    garbage = event("task_continued", data={"audio": "no sound"})
    unknown = (b"?", event("task_applauded", data=[1]), json.dumps({"applause": 3}))

    def __init__(self) -> None:
        super().__init__()
        self.starts: list[Mapping[str, Any]] = []
        self.failure: tuple[int, str] | None = None
        """The code and the message with which it fails all tasks."""

    async def converse(self, connection: Connection[Spoken]) -> None:
        """Run one task, and close."""
        await connection.say(event("connected_success", session_id="session-1"))
        start = json.loads(await connection.receive())
        assert start["event"] == "task_start"
        self.starts.append(start)
        voice = start["voice_setting"]
        spoken = connection.begin(
            Spoken(
                voice_id=voice["voice_id"],
                speed=voice["speed"],
                language=LANGUAGES[start["language_boost"]],
                delivery=voice.get("emotion", ""),
            )
        )
        failure = FAILURES.get(self.trouble) if self.trouble else self.failure
        if failure is not None:
            refused = {"status_code": failure[0], "status_msg": failure[1]}
            await connection.refuse(event("task_failed", base_resp=refused))
            return
        await connection.say(event("task_started", session_id="session-1"))
        speaking = asyncio.create_task(
            _speak(connection, texts := asyncio.Queue[str | None](), start)
        )
        try:
            async for message in connection:
                document = json.loads(message)
                if document["event"] == "task_finish":
                    spoken.is_finished = True
                    break
                assert document["event"] == "task_continue"
                spoken.texts.append(document["text"])
                texts.put_nowait(document["text"])
            if spoken.is_finished:
                texts.put_nowait(None)
                await speaking
                await connection.say(event("task_finished"))
        finally:
            speaking.cancel()
            await asyncio.gather(speaking, return_exceptions=True)


async def _speak(
    connection: Connection[Spoken],
    texts: "asyncio.Queue[str | None]",
    start: Mapping[str, Any],
) -> None:
    while (text := await texts.get()) is not None:
        sounds = pieces(sound_of(text, SAMPLE_RATE_HERTZ))
        for place, pcm in enumerate(sounds):
            is_final = place == len(sounds) - 1
            data: dict[str, Any] = {"audio": pcm.hex()}
            if is_final and start.get("subtitle_enable"):
                data["subtitle"] = {"text": text, "timestamped_words": _words(text)}
            await connection.answer(event("task_continued", data=data, is_final=is_final))


def _words(text: str) -> list[dict[str, Any]]:
    return [
        {
            "word": character,
            "word_begin": place,
            "word_end": place + 1,
            "time_begin": 1000 * sounds_at(text, place),
            "time_end": 1000 * sounds_at(text, place + 1),
        }
        for place, character in enumerate(text)
        if character.strip()
    ]


SUBJECTS = (
    Subject(
        name="minimax",
        vendor=VENDOR,
        server=SpeechServer.open,
        without={**NO_OLD_CONNECTIONS, "style": "it has emotions alone"},
    ),
)
