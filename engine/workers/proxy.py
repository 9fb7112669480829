"""Requests that are forwarded unchanged to the task's worker: WHEP and recordings."""

import asyncio
from collections.abc import AsyncIterator, Mapping

import httpx
import structlog
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from engine.contract.codes import Refusal
from engine.routes.debug import DebugAccess, not_found, stream_to_delete
from engine.routes.door import Door
from engine.routes.request_body import BodyRefused, read_body
from engine.routes.whep import CORS, MAX_SDP_BYTES, PREFLIGHT, RETRY_AFTER_S, Denial
from engine.workers.pool import Pool
from engine.workers.registry import Assignment, WorkerRegistry
from engine.workers.worker import CALL_S, Worker

log = structlog.get_logger()

# Other headers concern one connection, or an encoding that is redone.
FORWARDED_HEADERS = ("authorization", "content-type", "if-match")
RETURNED_HEADERS = (
    "accept-patch",
    "accept-post",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "content-length",
    "content-type",
    "etag",
    "link",
    "location",
    "retry-after",
    "www-authenticate",
)


class WhepProxy:
    """Forwards the requests of viewers to their task's worker."""

    def __init__(self, *, registry: WorkerRegistry, pool: Pool, door: Door) -> None:
        self._door = door
        self._registry = registry
        self._pool = pool

    def routes(self) -> list[Route]:
        """Routes below the root of the application."""
        view = self._door.guard(self._view)
        return [
            Route("/whep/{stream_id}", view, methods=["POST", "OPTIONS"]),
            Route(
                "/whep/{stream_id}/{viewer_id}",
                view,
                methods=["PATCH", "DELETE", "OPTIONS"],
            ),
        ]

    async def _view(self, request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=CORS | PREFLIGHT)
        try:
            body = await read_body(request, limit=MAX_SDP_BYTES)
        except BodyRefused as error:
            return Denial(error.status, str(error)).response
        assignment = self._registry.find_stream(request.path_params["stream_id"])
        try:
            # For an unknown stream, any worker can answer.
            worker = self._pool.any() if assignment is None else assignment.require_worker()
            return await _forward(request, worker, body)
        except (Refusal, httpx.HTTPError, TimeoutError):
            return Denial(503, "no worker answers", Retry_After=RETRY_AFTER_S).response


class RecordingProxy:
    """Forwards requests for recordings to their task's worker, and deletions to all."""

    def __init__(self, *, registry: WorkerRegistry, pool: Pool, access: DebugAccess) -> None:
        self._registry = registry
        self._pool = pool
        self._access = access

    def routes(self) -> list[Route]:
        """Routes below the root of the application."""
        find, show, delete = map(
            self._access.guard, (self._find_recordings, self._show_recordings, self._delete)
        )
        return [
            Route("/recordings", find, methods=["GET"]),
            Route("/recordings", delete, methods=["DELETE"]),
            Route("/recordings/{task_id}", show, methods=["GET"]),
            Route("/recordings/{task_id}/{name}", show, methods=["GET"]),
        ]

    async def _find_recordings(self, request: Request) -> Response:
        assignment = self._registry.find_past_stream(request.query_params.get("stream_id", ""))
        return not_found() if assignment is None else await self._show(request, assignment)

    async def _show_recordings(self, request: Request) -> Response:
        try:
            return await self._show(request, self._registry.get(request.path_params["task_id"]))
        except Refusal:
            return not_found()

    async def _delete(self, request: Request) -> Response:
        try:
            stream_to_delete(request.query_params)
        except ValueError as error:
            return PlainTextResponse(f"{error}\n", status_code=400)
        # Tasks of one stream may have been on several; those that can delete do.
        deletions = [_delete(request, worker) for worker in self._pool.workers]
        if all(await asyncio.gather(*deletions)):
            return Response(status_code=204)
        return PlainTextResponse("not deleted by every worker: try again\n", status_code=503)

    @staticmethod
    async def _show(request: Request, assignment: Assignment) -> Response:
        if assignment.worker is None:
            return not_found()
        try:
            return await _forward(request, assignment.worker, b"")
        except (httpx.HTTPError, TimeoutError):
            return _no_worker()


def _no_worker() -> Response:
    return PlainTextResponse("no worker answers\n", status_code=503)


async def _delete(request: Request, worker: Worker) -> bool:
    """Whether a worker has deleted what the request is about."""
    try:
        async with asyncio.timeout(CALL_S):
            answer = await worker.client.delete(
                "/recordings",
                params=request.query_params,
                headers=_pick(request.headers, FORWARDED_HEADERS),
            )
        answer.raise_for_status()
    except (httpx.HTTPError, TimeoutError) as error:
        log.warning("recordings not deleted", pid=worker.pid, error=type(error).__name__)
        return False
    return True


async def _forward(request: Request, worker: Worker, body: bytes) -> Response:
    outgoing = worker.client.build_request(
        request.method,
        httpx.URL(path=request.url.path, query=request.url.query.encode()),
        headers=_pick(request.headers, FORWARDED_HEADERS),
        content=body,
    )
    async with asyncio.timeout(CALL_S):
        answer = await worker.client.send(outgoing, stream=True)
    return StreamingResponse(
        _read(answer),
        status_code=answer.status_code,
        headers=_pick(answer.headers, RETURNED_HEADERS),
    )


async def _read(answer: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for chunk in answer.aiter_raw():
            yield chunk
    finally:
        await answer.aclose()


def _pick(headers: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    return {name: headers[name] for name in names if name in headers}
