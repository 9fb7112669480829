"""Reads a client's question: JSON, a form with a recording, or the recording itself."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO

from starlette.datastructures import UploadFile
from starlette.requests import Request

from gateway.contract.bodies import TalkBody, TalkFields
from gateway.contract.content_type import media_kind, require_utf8
from gateway.contract.problems import malformed_json, refused, validated
from gateway.decoding.decoder import FIELD, Decoder, require_audio_type
from gateway.middleware.access import caller_of
from gateway.middleware.concurrency import Concurrency
from services.runtime.failures.reasons import Reason

MAX_FIELD_BYTES = 64 * 1024
MAX_FIELDS = 16
IN_MEMORY_BYTES = 1 << 20
DOCUMENTED_TYPES = "must be application/json, multipart/form-data or audio/*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question: text, or 16 kHz PCM; neither means the persona's sample question."""

    task_id: str
    lang: str
    cut_on_leave: bool
    text: str | None = None
    pcm: bytes | None = None


FindTask = Callable[[str], Awaitable[object]]
"""Raises ServiceError for an id that is not a task's."""


async def read_question(
    request: Request, decoder: Decoder, find_task: FindTask, *, uploads: Concurrency
) -> Question:
    """Return the question of a request; raises ServiceError that names the field.

    The task is looked up before a recording is decoded, so that unknown tasks cost no work.
    """
    content_type = request.headers.get("content-type", "")
    kind = media_kind(content_type)
    if kind == "application/json":
        return _question(validated(TalkBody.model_validate, await _json(request)))
    if kind == "multipart/form-data":
        require_utf8(content_type)
        with uploads.place(caller_of(request.scope)):
            return await _read_form(request, decoder, find_task)
    if kind.startswith("audio/"):
        body = validated(TalkFields.model_validate, dict(request.query_params))
        caller = caller_of(request.scope)
        with uploads.place(caller):
            async with _spooled(request) as recording:
                await find_task(body.task_id)
                pcm = await decoder.decode(recording, content_type, caller=caller)
        return _question(body, pcm=pcm)
    raise refused(Reason.MEDIA_TYPE_UNSUPPORTED, "Content-Type", "media_type", DOCUMENTED_TYPES)


async def _json(request: Request) -> Any:
    try:
        return await request.json()
    except (ValueError, RecursionError) as error:
        raise malformed_json() from error


async def _read_form(request: Request, decoder: Decoder, find_task: FindTask) -> Question:
    async with request.form(
        max_files=1, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES
    ) as form:
        for name, value in form.items():
            if isinstance(value, UploadFile) != (name == FIELD):
                expected = "a file" if name == FIELD else "text, not a file"
                raise refused(Reason.INVALID_REQUEST, name, "type", f"must be {expected}")
        fields = {name: value for name, value in form.items() if name != FIELD}
        body = validated(TalkFields.model_validate, fields)
        upload = form.get(FIELD)
        if not isinstance(upload, UploadFile):
            if body.text is None:
                raise refused(Reason.INVALID_REQUEST, FIELD, "required", "a file is required")
            return _question(body)
        if body.text is not None:
            raise refused(Reason.INVALID_REQUEST, "text", "exclusive", "must not come with audio")
        media_type = upload.content_type or "application/octet-stream"
        require_audio_type(media_type)
        await find_task(body.task_id)
        pcm = await decoder.decode(upload.file, media_type, caller=caller_of(request.scope))
        return _question(body, pcm=pcm)


def _question(body: TalkBody, *, pcm: bytes | None = None) -> Question:
    return Question(
        task_id=body.task_id,
        lang=body.lang,
        cut_on_leave=body.cut_on_leave,
        text=body.text if pcm is None else None,
        pcm=pcm,
    )


@asynccontextmanager
async def _spooled(request: Request) -> AsyncIterator[BinaryIO]:
    with SpooledTemporaryFile(max_size=IN_MEMORY_BYTES) as file:
        async for chunk in request.stream():
            file.write(chunk)
        yield file  # type: ignore[misc]  # it has all methods of one
