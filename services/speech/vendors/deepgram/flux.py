"""Version 2 of the API: the model hears when a turn ends, and a connection serves one of them.

The vendor bills as long as a connection is open, so none idles.
"""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self
from urllib.parse import urlencode

from services.runtime.pcm import byte_count
from services.speech.ports.recognition import (
    LISTENING_RATE_HERTZ,
    RecognitionRequest,
    Transcript,
    TurnEnd,
)
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
from services.speech.vendors.hearing import on_stream
from services.speech.vendors.http.client import Endpoint, provider_errors
from services.speech.vendors.websocket.client import VendorSocket, open_socket

PACKET_BYTES = byte_count(0.08, LISTENING_RATE_HERTZ)
_TURN_ENDS = {
    "EagerEndOfTurn": TurnEnd.LIKELY,
    "TurnResumed": TurnEnd.RESUMED,
    "EndOfTurn": TurnEnd.CERTAIN,
}


class FluxRecognizer:
    """Recognizes one turn on each connection, up to its end or that of the sound."""

    is_streaming = True
    detects_turn_ends = True

    def __init__(self, settings: DeepgramSettings, endpoint: Endpoint) -> None:
        self._settings = settings
        self._endpoint = endpoint

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: DeepgramSettings, deadlines: Deadlines) -> AsyncIterator[Self]:
        """A recognizer without connections."""
        yield cls(settings, Endpoint.of(settings, deadlines))

    @property
    def name(self) -> str:
        """The provider's name in logs and metrics."""
        return self._endpoint.name

    async def transcribe(
        self, audio: AsyncIterator[bytes], request: RecognitionRequest
    ) -> AsyncIterator[Transcript]:
        """Yield hypotheses while audio arrives; raises ProviderError."""
        connection = open_socket(
            self._endpoint,
            Stage.RECOGNITION,
            url=self._url(request),
            headers=self._settings.headers,
        )
        with provider_errors(Stage.RECOGNITION, self.name):
            async with closing(audio), connection as socket:
                turn = _FluxTurn(socket, self._endpoint)
                transcripts = on_stream(
                    audio,
                    turn.transcripts(),
                    send=socket.send,
                    finish=turn.finish,
                    packet_bytes=PACKET_BYTES,
                    deadlines=self._endpoint.deadlines,
                    provider=self.name,
                )
                async with closing(transcripts):
                    async for transcript in transcripts:
                        yield transcript

    def _url(self, request: RecognitionRequest) -> str:
        settings = self._settings
        query = [
            ("model", settings.model),
            ("encoding", "linear16"),
            ("sample_rate", str(LISTENING_RATE_HERTZ)),
            ("eot_threshold", str(settings.turn_end)),
            ("eot_timeout_ms", str(settings.turn_end_silence_ms)),
        ]
        if settings.eager_turn_end:
            query.append(("eager_eot_threshold", str(settings.eager_turn_end)))
        if settings.opt_out:
            query.append(("mip_opt_out", "true"))
        if settings.model.endswith("multi"):
            query += [("language_hint", named(code)) for code in request.language_codes]
        query += [("keyterm", word) for word in request.hot_words]
        return f"{settings.base_url}/v2/listen?{urlencode(query)}"


class _FluxTurn:
    """The first turn that is heard on a connection."""

    def __init__(self, socket: VendorSocket, endpoint: Endpoint) -> None:
        self._socket = socket
        self._endpoint = endpoint
        self._is_finished = False

    async def finish(self) -> None:
        """Have the rest recognized."""
        self._is_finished = True
        await self._socket.send(json.dumps({"type": "CloseStream"}))

    async def transcripts(self) -> AsyncIterator[Transcript]:
        """Yield hypotheses up to the turn's end, or after the sound's end that of the connection.

        The final transcript after the sound's end is the last that came.
        """
        last = Transcript(text="", is_final=False)
        async with closing(messages(self._socket, self._endpoint)) as found:
            async for message in found:
                if message.get("type") == "TurnInfo":
                    last = reading(_transcript, message, self._endpoint)
                    yield last
                    if last.is_final:
                        return
        if self._is_finished:
            yield Transcript(
                text=last.text,
                is_final=True,
                words=last.words,
                language_code=last.language_code,
            )


def _transcript(message: Mapping[str, Any]) -> Transcript:
    text = str(message["transcript"])
    turn_end = _TURN_ENDS.get(str(message["event"])) if text else None
    return Transcript(
        text=text,
        is_final=turn_end is TurnEnd.CERTAIN,
        words=words_of(message),
        language_code=language_of(message),
        turn_end=turn_end,
    )
