"""The voice alone, for clients of OpenAI's speech API, such as the engine's DriveByText."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from fastapi import APIRouter, Depends, Response
from starlette.responses import StreamingResponse

from digitalhuman.speech.v1 import speech_pb2 as pb
from gateway.backend.catalogue import Catalogue
from gateway.backend.services import Backend
from gateway.contract.bodies import SpeechBody
from gateway.contract.content_type import requires_json
from gateway.contract.models import Voices
from gateway.contract.openapi import failures
from gateway.contract.wire import from_voice
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason


class VoiceRoutes:
    """Lists the voices, and speaks texts in them."""

    def __init__(self, *, backend: Backend, catalogue: Catalogue) -> None:
        self._backend = backend
        self._catalogue = catalogue

    def router(self) -> APIRouter:
        """Return the endpoints."""
        router = APIRouter(prefix="/api/v1/audio", tags=["voice"])
        router.get(
            "/voices",
            summary="List the voices",
            response_model_exclude_none=True,
            responses=failures(),
        )(self.list_voices)
        router.post(
            "/speech",
            summary="Speak a text",
            response_model=None,
            dependencies=[Depends(requires_json)],
            responses={
                200: {"content": {"audio/pcm": {"schema": {"type": "string", "format": "binary"}}}},
                **failures(
                    Reason.INVALID_REQUEST,
                    Reason.MALFORMED_MESSAGE,
                    Reason.MEDIA_TYPE_UNSUPPORTED,
                    Reason.PAYLOAD_TOO_LARGE,
                    Reason.VOICE_NOT_FOUND,
                    Reason.TALK_RATE_EXCEEDED,
                    Reason.SYNTHESIS_UNAVAILABLE,
                ),
            },
        )(self.speak)
        return router

    async def list_voices(self) -> Voices:
        """Return the voices."""
        return Voices(voices=[from_voice(voice) for voice in await self._catalogue.voices()])

    async def speak(self, body: SpeechBody) -> Response:
        """Return the sound while it is made; a failure under way ends it early."""
        voices = await self._catalogue.voices()
        # Each voice speaks its own language; an unknown one is refused by speech.
        spoken_by = next((each for each in voices if body.voice in ("", each.voice_id)), None)
        request = pb.SynthesizeRequest(
            text=body.input,
            voice_id=body.voice,
            language_code=spoken_by.language_codes[0] if spoken_by else "en",
        )
        spoken = self._synthesize(request)
        # Waits for the first sound, so that a failure before it is answered by the status.
        first = await anext(spoken, None)
        if first is None:
            raise ServiceError(Reason.SYNTHESIS_UNAVAILABLE, "The voice made no sound of the text.")
        rate = first.format.sample_rate_hertz
        return StreamingResponse(
            _pcm(first, spoken), media_type=f"audio/pcm;rate={rate};channels=1"
        )

    async def _synthesize(
        self, request: pb.SynthesizeRequest
    ) -> AsyncGenerator[pb.SynthesizeResponse, None]:
        async with self._backend.synthesize(request) as responses:
            async for response in responses:
                yield response


async def _pcm(
    first: pb.SynthesizeResponse, rest: AsyncGenerator[pb.SynthesizeResponse, None]
) -> AsyncGenerator[bytes, None]:
    async with aclosing(rest):
        yield first.pcm
        async for response in rest:
            yield response.pcm
