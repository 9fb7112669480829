"""The voice alone, for whoever speaks OpenAI's speech API: the engine's DriveByText does."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Response
from pydantic import ConfigDict, Field
from starlette.responses import StreamingResponse

from digitalhuman.speech.v1 import speech_pb2
from gateway.backend.catalogue import Catalogue
from gateway.backend.services import Backend
from gateway.contract.bodies import JsonRequest
from gateway.contract.constraints import constraints
from gateway.contract.content_type import requires_json
from gateway.contract.fields import Words
from gateway.contract.models import JsonModel
from gateway.contract.openapi import failures
from services.runtime.errors import ServiceError
from services.runtime.reasons import Reason

PREFIX = "/api/v1/audio"


class SpeechBody(JsonRequest):
    """What is to be spoken; `model` and `speed` are ignored, as there is one of each."""

    model_config = ConfigDict(alias_generator=None)

    input: Words
    voice: Annotated[
        str,
        Field(
            description="Of `voices`; default: the first of them.",
            json_schema_extra=constraints(speech_pb2.SynthesizeRequest, "voice_id"),
        ),
    ] = ""
    response_format: Literal["pcm"] = Field(
        default="pcm",
        description="16-bit samples, little-endian, mono; the rate is in the Content-Type.",
    )


class Voice(JsonModel):
    """A voice."""

    id: str
    name: str | None = None
    languages: list[str]


class Voices(JsonModel):
    """All voices."""

    voices: list[Voice]


def voice_routes(*, backend: Backend, catalogue: Catalogue) -> APIRouter:
    """Return the endpoints."""
    router = APIRouter(prefix=PREFIX, tags=["voice"])

    @router.get(
        "/voices",
        summary="List the voices",
        response_model_exclude_none=True,
        responses=failures(),
    )
    async def list_voices() -> Voices:
        """Return the voices."""
        return Voices(
            voices=[
                Voice(
                    id=voice.voice_id,
                    name=voice.display_name or None,
                    languages=list(voice.language_codes),
                )
                for voice in await catalogue.voices()
            ]
        )

    @router.post(
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
                Reason.SYNTHESIS_UNAVAILABLE,
            ),
        },
    )
    async def speak(body: SpeechBody) -> Response:
        """Return the sound while it is made; a failure under way ends it early."""
        voices = await catalogue.voices()
        # Each speaks its own language; one that is not there is refused whatever is asked of it.
        spoken_by = next((each for each in voices if body.voice in ("", each.voice_id)), None)
        request = speech_pb2.SynthesizeRequest(
            text=body.input,
            voice_id=body.voice,
            language_code=spoken_by.language_codes[0] if spoken_by else "en",
        )
        spoken = _spoken(backend, request)
        # So that a failure to begin is told by the status.
        first = await anext(spoken, None)
        if first is None:
            raise ServiceError(Reason.SYNTHESIS_UNAVAILABLE, "The voice made no sound of the text.")
        rate = first.format.sample_rate_hertz
        return StreamingResponse(
            _pcm(first, spoken), media_type=f"audio/pcm;rate={rate};channels=1"
        )

    return router


async def _spoken(
    backend: Backend, request: speech_pb2.SynthesizeRequest
) -> AsyncGenerator[speech_pb2.SynthesizeResponse, None]:
    async with backend.synthesize(request) as responses:
        async for response in responses:
            yield response


async def _pcm(
    first: speech_pb2.SynthesizeResponse,
    rest: AsyncGenerator[speech_pb2.SynthesizeResponse, None],
) -> AsyncGenerator[bytes, None]:
    async with aclosing(rest):
        yield first.pcm
        async for response in rest:
            yield response.pcm
