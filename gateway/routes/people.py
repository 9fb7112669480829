"""The endpoints of operators about people: all that is kept of a user, and its removal.

The user's id is in the body, as addresses stand in the logs of proxies.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from fastapi import APIRouter, Depends, Request
from fastapi.responses import StreamingResponse

from gateway.backend.people import erase, kept_of
from gateway.backend.services import Backend
from gateway.contract.content_type import requires_json
from gateway.contract.json_model import JsonModel
from gateway.contract.openapi import failures
from gateway.contract.parameters import requires_single
from gateway.contract.people import JSON_LINES, ErasureAnswer, ProblemRecord, UserBody, to_line
from gateway.contract.problems import to_problem
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason


class PeopleRoutes:
    """Hands out and removes what is kept of users."""

    def __init__(self, *, backend: Backend) -> None:
        self._backend = backend

    def router(self) -> APIRouter:
        """Return the endpoints."""
        router = APIRouter(
            prefix="/api/digital-human",
            tags=["operations"],
            dependencies=[Depends(requires_single), Depends(requires_json)],
        )
        router.post(
            "/export-user",
            summary="Get all that is kept of a user",
            response_class=StreamingResponse,
            responses={
                200: {"content": {JSON_LINES: {"schema": {"type": "string"}}}},
                **failures(Reason.INVALID_REQUEST, Reason.MEDIA_TYPE_UNSUPPORTED),
            },
        )(self.export)
        router.post(
            "/erase-user",
            summary="Remove all that is kept of a user",
            responses=failures(
                Reason.INVALID_REQUEST, Reason.MEDIA_TYPE_UNSUPPORTED, Reason.TASK_NOT_ENDED
            ),
        )(self.erase)
        return router

    async def export(self, request: Request, body: UserBody) -> StreamingResponse:
        """Return one JSON object per line: tasks with their conversations, and what they cost.

        The last one has the `record` `end`; without it, something is missing.
        """
        records = kept_of(self._backend, body.user_id, instance=request.url.path)
        # A task service that cannot be reached shows in the status.
        first = await anext(records)
        return StreamingResponse(
            _lines(first, records, instance=request.url.path),
            media_type=JSON_LINES,
            headers={"Content-Disposition": 'attachment; filename="user.jsonl"'},
        )

    async def erase(self, body: UserBody) -> ErasureAnswer:
        """Remove tasks, what was said in them and what was known of the calls.

        What they cost stays, as that of tasks of nobody. A user who is on air must be stopped
        first.
        """
        return ErasureAnswer(tasks=await erase(self._backend, body.user_id))


async def _lines(
    first: JsonModel, rest: AsyncGenerator[JsonModel, None], *, instance: str
) -> AsyncIterator[str]:
    yield to_line(first)
    try:
        async with aclosing(rest):
            async for record in rest:
                yield to_line(record)
                # They come by the page, and a client that reads keeps nobody waiting.
                await asyncio.sleep(0)
    except ServiceError as error:
        yield to_line(ProblemRecord(problem=to_problem(error, instance=instance)))
