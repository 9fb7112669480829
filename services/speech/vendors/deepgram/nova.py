"""Version 1 of the API: an utterance ends when we say so, and the connection serves the next."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlencode
from weakref import WeakKeyDictionary

from services.runtime.languages import primary
from services.runtime.pcm import byte_count, duration_s
from services.speech.ports.recognition import LISTENING_RATE_HERTZ, RecognitionRequest, Transcript
from services.speech.ports.stages import Stage
from services.speech.streams import Deadlines, closing
from services.speech.vendors.deepgram.messages import (
    language_of,
    messages,
    named,
    reading,
    words_of,
)
from services.speech.vendors.deepgram.settings import DeepgramSettings
from services.speech.vendors.hearing import Sentences, on_stream
from services.speech.vendors.http.client import Endpoint, provider_errors
from services.speech.vendors.websocket.client import VendorSocket, open_socket
from services.speech.vendors.websocket.pool import Loan
from services.speech.vendors.websocket.pools import SocketPools

PACKET_BYTES = byte_count(0.05, LISTENING_RATE_HERTZ)
MOST_BYTES = byte_count(0.25, LISTENING_RATE_HERTZ)
"""More than the bundles in which audio comes: a packet costs the same whatever its size."""
KEEP_ALIVE_S = 4.0
"""The vendor closes after 10 s without sound or a sign."""
IDLE_S = 60.0
FLUSH_S = 1.0
"""How long flushing may take: where nothing is left to recognize, the vendor says nothing."""
_MIXED = frozenset(("en", "es", "fr", "de", "hi", "ru", "pt", "ja", "it", "nl"))
"""The languages among which a model finds out itself."""


class NovaRecognizer:
    """Recognizes utterance after utterance on connections that it keeps for a while."""

    is_streaming = True
    detects_turn_ends = False

    def __init__(
        self, settings: DeepgramSettings, endpoint: Endpoint, sockets: SocketPools
    ) -> None:
        self._settings = settings
        self._endpoint = endpoint
        self._sockets = sockets
        self._heard: WeakKeyDictionary[VendorSocket, int] = WeakKeyDictionary()
        """The bytes that each connection heard: the vendor's times count from the first."""

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: DeepgramSettings, deadlines: Deadlines) -> AsyncIterator[Self]:
        """A recognizer with its own connections."""
        endpoint = Endpoint.of(settings, deadlines)

        def connect(url: str) -> AbstractAsyncContextManager[VendorSocket]:
            return open_socket(endpoint, Stage.RECOGNITION, url=url, headers=settings.headers)

        async with SocketPools.open(connect, _keep_alive) as sockets:
            yield cls(settings, endpoint, sockets)

    @property
    def name(self) -> str:
        """The provider's name in logs and metrics."""
        return self._endpoint.name

    async def transcribe(
        self, audio: AsyncIterator[bytes], request: RecognitionRequest
    ) -> AsyncIterator[Transcript]:
        """Yield hypotheses while audio arrives; raises ProviderError."""
        with provider_errors(Stage.RECOGNITION, self.name):
            async with closing(audio), self._sockets.lend(self._url(request)) as loan:
                utterance = _Utterance(
                    loan=loan, endpoint=self._endpoint, heard=self._heard.get(loan.socket, 0)
                )
                transcripts = on_stream(
                    audio,
                    utterance.transcripts(),
                    send=utterance.send,
                    finish=utterance.finish,
                    packet_bytes=PACKET_BYTES,
                    most_bytes=MOST_BYTES,
                    deadlines=self._endpoint.deadlines,
                    provider=self.name,
                )
                async with closing(transcripts):
                    async for transcript in transcripts:
                        if transcript.is_final:
                            self._heard[loan.socket] = utterance.heard
                        yield transcript

    def _url(self, request: RecognitionRequest) -> str:
        settings = self._settings
        query = [
            ("model", settings.model),
            ("language", _language(request.language_codes)),
            ("encoding", "linear16"),
            ("sample_rate", str(LISTENING_RATE_HERTZ)),
            ("channels", "1"),
            ("interim_results", "true"),
            ("punctuate", "true"),
        ]
        if settings.smart_format:
            query.append(("smart_format", "true"))
        if settings.opt_out:
            query.append(("mip_opt_out", "true"))
        hot_words = "keywords" if settings.model.startswith("nova-2") else "keyterm"
        query += [(hot_words, word) for word in request.hot_words]
        return f"{settings.base_url}/v1/listen?{urlencode(query)}"


@dataclass(slots=True, kw_only=True)
class _Utterance:
    """An utterance on a connection that has `heard` some bytes."""

    loan: Loan
    endpoint: Endpoint
    heard: int
    is_finished: bool = False

    async def send(self, pcm: bytes) -> None:
        """Send a packet."""
        self.heard += len(pcm)
        await self.loan.socket.send(pcm)

    async def finish(self) -> None:
        """Have the rest recognized, in the end by ending the connection."""
        self.is_finished = True
        await _say(self.loan.socket, "Finalize")
        await asyncio.sleep(FLUSH_S)
        await _say(self.loan.socket, "CloseStream")

    async def transcripts(self) -> AsyncIterator[Transcript]:
        """Yield hypotheses, and the final one once everything is recognized."""
        sentences = Sentences()
        offset_s = duration_s(self.heard, LISTENING_RATE_HERTZ)
        async with closing(messages(self.loan.socket, self.endpoint)) as found:
            async for message in found:
                if message.get("type") == "Metadata":
                    break
                if message.get("type") != "Results":
                    continue
                result = reading(lambda each: _result(each, offset_s), message, self.endpoint)
                add = sentences.add if result.is_complete else sentences.with_partial
                heard = add(result.sentence)
                if result.is_flushed:
                    self.loan.can_be_reused = True
                    break
                if not (self.is_finished and result.is_complete):
                    yield heard  # Behind complete sentences the final transcript comes at once.
            else:
                return
        yield sentences.final()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Result:
    sentence: Transcript
    is_complete: bool
    is_flushed: bool


def _result(message: Mapping[str, Any], offset_s: float) -> _Result:
    best = message["channel"]["alternatives"][0]
    return _Result(
        sentence=Transcript(
            text=str(best["transcript"]),
            is_final=False,
            words=words_of(best, offset_s),
            language_code=language_of(best),
        ),
        is_complete=bool(message.get("is_final")),
        is_flushed=bool(message.get("from_finalize")),
    )


def _language(codes: tuple[str, ...]) -> str:
    can_be_mixed = {primary(code) for code in codes} <= _MIXED
    return "multi" if len(codes) > 1 and can_be_mixed else named(codes[0])


async def _keep_alive(socket: VendorSocket) -> None:
    for _ in range(round(IDLE_S / KEEP_ALIVE_S)):
        await asyncio.sleep(KEEP_ALIVE_S)
        await _say(socket, "KeepAlive")
    await _say(socket, "CloseStream")


async def _say(socket: VendorSocket, kind: str) -> None:
    await socket.send(json.dumps({"type": kind}))
