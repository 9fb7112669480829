"""Replies that are cut off in the running stack, and what its engine then has on record."""

import asyncio
import io
import json
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import httpx

from digitalhuman.audio.v1 import audio_pb2
from digitalhuman.speech.v1 import speech_pb2, speech_pb2_grpc
from services.runtime.callers.requests import Metadata
from tests.support.heard import Reply
from tests.support.resampling import resample

API = "/api/digital-human"
CHUNK_BYTES = 16_000
RATE_HERTZ = 16_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CutReply:
    """A reply that was cut off: its ledger as the gateway tells it, and the sound that was heard.

    `stutters` counts how often the engine had nothing to play.
    """

    reply: Reply
    ledger: dict[str, Any]
    pcm: bytes
    rate_hertz: int
    stutters: int

    @property
    def recorded_ms(self) -> float:
        """How much was heard, by the engine's count of samples."""
        return len(self.pcm) / 2 / self.rate_hertz * 1000

    @property
    def estimate_error_ms(self) -> float:
        """By how much the ledger believes in too much sound."""
        return float(self.ledger["ledger"]["playedMs"]) - self.recorded_ms

    @property
    def heard(self) -> int:
        """How many units the ledger says were heard."""
        return self.reply.written(self.ledger["heard"])

    @property
    def sounded(self) -> int:
        """How many units the recording has, by its length and the voice's word times."""
        words = [word for segment in self.ledger["segments"] for word in segment["words"]]
        ends = [
            word["textEnd"]
            for word in words
            if (word["startMs"] + word["endMs"]) / 2 <= self.recorded_ms
        ]
        return self.reply.written(self.reply.text[: max(ends, default=0)])


class Caller:
    """Has one task say replies and cuts them off."""

    def __init__(self, http: httpx.AsyncClient, engine: httpx.AsyncClient, name: str) -> None:
        self._http = http
        self._engine = engine
        self._name = name
        self._task_id = ""

    @classmethod
    @asynccontextmanager
    async def on_air(
        cls, http: httpx.AsyncClient, engine: httpx.AsyncClient, name: str
    ) -> AsyncIterator["Caller"]:
        """A task that ends with the block."""
        caller = cls(http, engine, name)
        body = {"roomId": name, "streamId": name, "greeting": ""}
        created = (await http.post(f"{API}/create-task", json=body)).raise_for_status()
        caller._task_id = created.json()["taskId"]
        try:
            yield caller
        finally:
            stopping = {"taskId": caller._task_id}
            (await http.post(f"{API}/stop-task", json=stopping)).raise_for_status()

    async def cut(self, reply: Reply, *, after_s: float) -> CutReply:
        """Have a reply said and cut it off so long after it is heard."""
        body = {"taskId": self._task_id, "text": reply.text, "lang": reply.language_code}
        turn_id = 0
        async with self._http.stream(
            "POST", f"{API}/say", json=body, headers={"Accept": "text/event-stream"}
        ) as answer:
            lines = answer.aiter_lines()
            async for line in lines:
                if line == "event: playback_started":
                    break
            await asyncio.sleep(after_s)
            interrupt = {"taskId": self._task_id}
            (await self._http.post(f"{API}/interrupt", json=interrupt)).raise_for_status()
            async for line in lines:
                if line.startswith("data:"):
                    turn_id = json.loads(line.removeprefix("data:"))["turnId"]
        await self._recorded(turn_id)
        path = f"{API}/tasks/{self._task_id}/turns/{turn_id}/ledger"
        ledger = (await self._http.get(path)).raise_for_status().json()
        found = await self._engine.get("/recordings", params={"stream_id": self._name})
        drive = found.raise_for_status().json()["drives"][-1]
        wav = (await self._engine.get(drive["wav"])).raise_for_status().content
        with wave.open(io.BytesIO(wav)) as file:
            pcm, rate_hertz = file.readframes(file.getnframes()), file.getframerate()
        return CutReply(
            reply=reply,
            ledger=ledger,
            pcm=pcm,
            rate_hertz=rate_hertz,
            stutters=drive["stutters"],
        )

    async def _recorded(self, turn_id: int) -> None:
        """Wait until a turn's end is on record, which is a moment after it is told."""
        path = f"{API}/tasks/{self._task_id}/events"
        async with self._http.stream("GET", path, params={"after": 0}) as events:
            is_end = False
            async for line in events.aiter_lines():
                if line.startswith("event:"):
                    is_end = line == "event: turn_finished"
                elif (
                    is_end
                    and line.startswith("data:")
                    and json.loads(line.removeprefix("data:"))["turnId"] == turn_id
                ):
                    return


async def synthesize(
    channel: grpc.aio.Channel, token: Metadata, reply: Reply, *, size: int
) -> bytes:
    """The beginning of a reply's sound, as the speech service makes it: at least so many bytes."""
    request = speech_pb2.SynthesizeRequest(
        text=reply.text, language_code=reply.language_code, voice_id=reply.voice_id
    )
    call = speech_pb2_grpc.SpeechServiceStub(channel).Synthesize(request, metadata=token)
    pcm = b""
    async for response in call:
        pcm += response.pcm
        if len(pcm) >= size:
            call.cancel()
            break
    return pcm


async def transcribe(channel: grpc.aio.Channel, token: Metadata, cut: CutReply) -> str:
    """What the speech service makes out of a recording."""
    heard = resample(cut.pcm, cut.rate_hertz)
    language_code = cut.reply.language_code

    async def requests() -> AsyncIterator[speech_pb2.TranscribeRequest]:
        audio_format = audio_pb2.AudioFormat(
            encoding=audio_pb2.AUDIO_ENCODING_PCM_S16LE,
            sample_rate_hertz=RATE_HERTZ,
            channel_count=1,
        )
        setup = speech_pb2.TranscribeSetup(language_code=language_code, format=audio_format)
        yield speech_pb2.TranscribeRequest(setup=setup)
        for at in range(0, len(heard), CHUNK_BYTES):
            audio = speech_pb2.ConverseAudio(pcm=heard[at : at + CHUNK_BYTES])
            yield speech_pb2.TranscribeRequest(audio=audio)

    call = speech_pb2_grpc.SpeechServiceStub(channel).Transcribe(requests(), metadata=token)
    return [answer.transcript.text async for answer in call][-1]
