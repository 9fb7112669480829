"""`python -m bench.conversation.vendors`: vendors' servers that take exactly as long as the fakes.

Deepgram hears, OpenAI's chat completions are written, and ElevenLabs speaks, each by its own
protocol, so that the service's real adapters are measured. It is recorded, in the machine's
monotonic time, when which text was sent and came, and from when to when each stage had a turn: from
the last that it waited for to the first that the next one waits for, once that is written.
"""

import asyncio
import base64
import json
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import uvicorn

from bench.conversation.fakes import (
    CHARACTER_S,
    CHUNK_S,
    FIRST_CHUNK_S,
    FIRST_TOKEN_S,
    OUTPUT_RATE_HERTZ,
    RECOGNITION_S,
    SPEED,
    TOKEN_S,
    USERS_STEP,
    asked,
    number_in,
    reply_to,
)
from services.runtime.pcm import byte_count, duration_s
from services.runtime.process import run, until_stopped
from services.speech.ports.recognition import LISTENING_RATE_HERTZ
from tests.conformance.script import Heard, Spoken
from tests.conformance.servers.deepgram_transcription import NovaServer
from tests.conformance.socket_server import Connection, SocketServer

PORT = "BENCH_VENDORS_PORT"
RECORDS_PATH = "/records"
"""Answers with the addresses, and what was recorded since it was last asked."""
MARK = "today"
"""The word that is replaced by one of the same length that tells replies apart."""
_LETTERS = "bcdfghklmn"


class Holding:
    """From when to when each stage had the turn of a user."""

    def __init__(self) -> None:
        self._records: list[tuple[str, int, float, float]] = []

    def note(self, stage: str, user: int, since: float) -> None:
        """The stage is done with a turn."""
        self._records.append((stage, user, since, time.monotonic()))

    def take(self) -> list[tuple[str, int, float, float]]:
        """Return the stages, users, beginnings and ends since the last call."""
        records, self._records = self._records, []
        return records


@dataclass(slots=True, kw_only=True)
class Written:
    """When the last token of each sentence of a reply to a user was sent."""

    user: int
    sent_at: list[float] = field(default_factory=list)
    spoken: int = 0
    """Of these, how many came back to be spoken."""


class Hearer(NovaServer):
    """Tells how much voice has come with each packet, and the question when its time is over."""

    def __init__(self, holding: Holding) -> None:
        super().__init__()
        self._holding = holding
        self._questions: dict[Connection[Heard], Heard] = {}
        self._voice_bytes: dict[Connection[Heard], int] = {}

    async def _hear(
        self, connection: Connection[Heard], session: Heard, packet: bytes, heard: int
    ) -> None:
        session.audio += packet
        self._questions[connection] = session
        voice_bytes = self._voice_bytes.get(connection, 0) + len(packet.replace(b"\0\0", b""))
        self._voice_bytes[connection] = voice_bytes
        voice_s = duration_s(voice_bytes, LISTENING_RATE_HERTZ)
        await self.tell(connection, f"I have heard {round(voice_s * 1000)} so far", heard)

    async def finalize(self, connection: Connection[Heard], heard: int) -> None:
        """Tell the question."""
        since = time.monotonic()
        await asyncio.sleep(RECOGNITION_S)
        number = asked(self._questions.pop(connection).audio)
        self._voice_bytes.pop(connection)
        self.sessions.clear()
        await self.tell(connection, f"Tell me more about number {number}.", heard, is_final=True)
        await self.tell(connection, "", heard, is_final=True, from_finalize=True)
        self._holding.note("recognizer", number // USERS_STEP, since)


class Writer:
    """Writes each reply with a mark of its own, one word a token."""

    def __init__(self, holding: Holding) -> None:
        self._holding = holding
        self._count = 0
        self._replies: dict[str, Written] = {}
        self.lags_s: list[float] = []

    async def write(self, number: int, send: Callable[[str], Awaitable[None]]) -> None:
        """Send the reply to a number, token by token."""
        since = time.monotonic()
        self._count += 1
        mark = "".join(_LETTERS[int(digit)] for digit in f"{self._count:05}")
        written = self._replies[mark] = Written(user=number // USERS_STEP)
        words = reply_to(number).replace(MARK, mark).split(" ")
        loop = asyncio.get_running_loop()
        due = loop.time() + FIRST_TOKEN_S
        for index, word in enumerate(words):
            await asyncio.sleep(due - loop.time())
            await send(word if index == 0 else f" {word}")
            if mark in word:
                written.sent_at.append(time.monotonic())
                if len(written.sent_at) == 1:
                    self._holding.note("model", written.user, since)
            due += TOKEN_S

    def came_back(self, text: str) -> int | None:
        """Note that a text is to be spoken, if it ends with a mark; return the user of a first."""
        mark = text.strip().rstrip(".").rpartition(" ")[2]
        if (written := self._replies.get(mark)) is None:
            return None
        self.lags_s.append(time.monotonic() - written.sent_at[written.spoken])
        written.spoken += 1
        return written.user if written.spoken == 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A text to speak; `user` is None but for the first of a reply."""

    text: str
    user: int | None
    came_at: float


class Talker(SocketServer[Spoken]):
    """Speaks the texts of a context one after the other, and reads on meanwhile."""

    def __init__(self, writer: Writer, holding: Holding) -> None:
        super().__init__()
        self._writer = writer
        self._holding = holding

    async def converse(self, connection: Connection[Spoken]) -> None:
        """Serve one context after the other; cancelling one ends its sound."""
        texts: asyncio.Queue[Text | None] = asyncio.Queue()
        speaking: asyncio.Task[None] | None = None
        is_flushed = False
        try:
            async for data in connection:
                message = json.loads(data)
                context_id = message["context_id"]
                if message.get("text") == " ":
                    texts, is_flushed = asyncio.Queue(), False
                    speaking = asyncio.create_task(self._speak(connection, context_id, texts))
                elif "text" in message:
                    user = self._writer.came_back(message["text"])
                    came_at = time.monotonic()
                    texts.put_nowait(Text(text=message["text"], user=user, came_at=came_at))
                elif message.get("flush"):
                    is_flushed = True
                    texts.put_nowait(None)
                elif speaking is not None and not is_flushed:
                    speaking.cancel()
                    await connection.say(json.dumps({"isFinal": True, "contextId": context_id}))
        finally:
            if speaking is not None:
                speaking.cancel()
                await asyncio.gather(speaking, return_exceptions=True)

    async def _speak(
        self, connection: Connection[Spoken], context_id: str, texts: "asyncio.Queue[Text | None]"
    ) -> None:
        loop = asyncio.get_running_loop()
        while (given := await texts.get()) is not None:
            left_s = len(given.text.rstrip()) * CHARACTER_S
            due = loop.time() + FIRST_CHUNK_S
            alignment: dict[str, Any] | None = _alignment(given.text)
            while left_s > 0:
                await asyncio.sleep(due - loop.time())
                pcm = b"\x01" * byte_count(min(CHUNK_S, left_s), OUTPUT_RATE_HERTZ)
                audio = base64.b64encode(pcm).decode()
                message = {"audio": audio, "alignment": alignment, "contextId": context_id}
                await connection.say(json.dumps(message))
                if alignment is not None and given.user is not None:
                    self._holding.note("voice", given.user, given.came_at)
                alignment = None
                left_s -= CHUNK_S
                due += CHUNK_S / SPEED
        await connection.say(json.dumps({"isFinal": True, "contextId": context_id}))


def _alignment(text: str) -> dict[str, Any]:
    each_ms = CHARACTER_S * 1000
    return {
        "chars": [*text],
        "charStartTimesMs": [round(each_ms * place) for place in range(len(text))],
        "charDurationsMs": [round(each_ms)] * len(text),
    }


Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]


def make_app(writer: Writer, holding: Holding, addresses: dict[str, str]) -> Any:
    """Return the HTTP side: chat completions, and the records."""

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        is_chat = scope["path"] != RECORDS_PATH
        kind = b"text/event-stream" if is_chat else b"application/json"
        headers = [(b"content-type", kind)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})

        async def piece(data: bytes, *, more_body: bool = True) -> None:
            await send({"type": "http.response.body", "body": data, "more_body": more_body})

        async def token(text: str) -> None:
            await piece(_event({"choices": [{"index": 0, "delta": {"content": text}}]}))

        if is_chat:
            asked_for = json.loads(body)["messages"][-1]["content"]
            await writer.write(number_in(asked_for), token)
            end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
            await piece(_event(end) + b"data: [DONE]\n\n", more_body=False)
        else:
            answer = {**addresses, "text_lags_s": writer.lags_s, "holding": holding.take()}
            writer.lags_s = []
            await piece(json.dumps(answer).encode(), more_body=False)

    return app


def _event(document: Any) -> bytes:
    return f"data: {json.dumps(document)}\n\n".encode()


async def main() -> None:
    """Serve until a signal arrives."""
    holding = Holding()
    hearer, writer = Hearer(holding), Writer(holding)
    talker = Talker(writer, holding)
    port = int(os.environ[PORT])
    async with hearer.serving(), talker.serving():
        addresses = {
            "recognizer": hearer.url,
            "chat": f"http://127.0.0.1:{port}/v1",
            "synthesizer": talker.url,
        }
        config = uvicorn.Config(
            make_app(writer, holding, addresses),
            host="127.0.0.1",
            port=port,
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_keep_alive=60,
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        await until_stopped()
        server.should_exit = True
        await serving


if __name__ == "__main__":
    run("vendors", main)
