"""For tests and debugging, where a token is set: faults and recordings."""

import hmac
import ipaddress
from typing import Any, Protocol

from pydantic import ValidationError
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from engine.audio.recordings import Recordings
from engine.contract.codes import Refusal
from engine.contract.faults import FaultList
from engine.contract.parameters import describe
from engine.routes.door import Endpoint
from engine.routes.request_body import BodyRefused, read_body
from engine.tasks.drives import Drive, DriveStatus
from engine.tasks.lifecycle import Tasks
from engine.tasks.task import Task

MAX_BODY_BYTES = 64 * 1024
NOT_FOUND = "no such recording\n"


class DebugAccess:
    """Who may use these endpoints: programs of this machine that have the token."""

    def __init__(self, token: str) -> None:
        self._credential = f"Bearer {token}".encode()

    def guard(self, endpoint: Endpoint) -> Endpoint:
        """Return an endpoint that refuses everybody else."""

        async def guarded(request: Request) -> Response:
            # The host, too: a page of a stranger may have its name resolve to this machine.
            named = (request.client.host if request.client else "", request.url.hostname or "")
            if not all(map(_is_loopback, named)):
                return PlainTextResponse("only from this machine\n", status_code=403)
            given = request.headers.get("Authorization", "").encode()
            if not hmac.compare_digest(given, self._credential):
                return PlainTextResponse("a debug token is required\n", status_code=401)
            return await endpoint(request)

        return guarded


class FaultBoard(Protocol):
    """Where faults are switched on."""

    async def replace(self, faults: FaultList) -> None:
        """Switch on these faults and no others."""

    def current(self) -> FaultList:
        """Return the faults that still apply; `count` is what is left."""


class FaultSwitches:
    """`/faults`."""

    def __init__(self, board: FaultBoard, access: DebugAccess) -> None:
        self._board = board
        self._access = access

    def routes(self) -> list[Route]:
        """Routes below the root of the application."""
        return [
            Route("/faults", self._access.guard(self._change), methods=["GET", "PUT", "DELETE"])
        ]

    async def _change(self, request: Request) -> Response:
        match request.method:
            case "PUT":
                try:
                    body = await read_body(request, limit=MAX_BODY_BYTES)
                    await self._board.replace(FaultList.model_validate_json(body))
                except BodyRefused as error:
                    return PlainTextResponse(f"{error}\n", status_code=error.status)
                except ValidationError as error:
                    rules = [
                        {
                            "field": ".".join(map(str, item["loc"])),
                            "rule": describe(item["type"], item["msg"]),
                        }
                        for item in error.errors(include_input=False, include_url=False)
                    ]
                    return JSONResponse({"errors": rules}, status_code=400)
            case "DELETE":
                await self._board.replace(FaultList(faults=[]))
        return JSONResponse(self._board.current().model_dump(exclude_none=True))


class RecordingDesk:
    """`/recordings`."""

    def __init__(self, *, tasks: Tasks, recordings: Recordings, access: DebugAccess) -> None:
        self._access = access
        self._tasks = tasks
        self._recordings = recordings

    def routes(self) -> list[Route]:
        """Routes below the root of the application."""
        return [
            Route("/recordings", self._access.guard(self._find), methods=["GET"]),
            Route("/recordings", self._access.guard(self._delete), methods=["DELETE"]),
            Route("/recordings/{task_id}", self._access.guard(self._show_task), methods=["GET"]),
            Route("/recordings/{task_id}/{name}", self._access.guard(self._play), methods=["GET"]),
        ]

    async def _find(self, request: Request) -> Response:
        task = self._tasks.find_past_stream(request.query_params.get("stream_id", ""))
        return not_found() if task is None else JSONResponse(self._show(task))

    async def _delete(self, request: Request) -> Response:
        try:
            stream_id = stream_to_delete(request.query_params)
        except ValueError as error:
            return PlainTextResponse(f"{error}\n", status_code=400)
        self._recordings.delete(stream_id=stream_id)
        return Response(status_code=204)

    async def _show_task(self, request: Request) -> Response:
        try:
            return JSONResponse(self._show(self._tasks.get(request.path_params["task_id"])))
        except Refusal:
            return not_found()

    async def _play(self, request: Request) -> Response:
        try:
            task = self._tasks.get(request.path_params["task_id"])
        except Refusal:
            return not_found()
        drive_id = request.path_params["name"].removesuffix(".wav")
        known = any(drive.drive_id == drive_id for drive in task.drives)
        recording = self._recordings.get(drive_id) if known else None
        if recording is None:
            return not_found()
        return Response(recording.read_wav(), media_type="audio/wav")

    def _show(self, task: Task) -> dict[str, Any]:
        return {
            "task_id": task.task_id,
            "room_id": task.room_id,
            "stream_id": task.stream_id,
            "status": task.status,
            "violations": list(task.violations),
            "drives": [self._show_drive(task, drive) for drive in task.drives],
        }

    def _show_drive(self, task: Task, drive: Drive) -> dict[str, Any]:
        kept = self._recordings.get(drive.drive_id) is not None
        return {
            "drive_id": drive.drive_id,
            "status": self._tasks.rules.shown_status(drive),
            "interrupted": drive.status is DriveStatus.INTERRUPTED,
            "sample_rate": drive.input.format.sample_rate if drive.input else None,
            "received_samples": drive.input.received_samples if drive.input else 0,
            "played_samples": drive.played_samples,
            "stutters": drive.stutters,
            "started_time": drive.started_time,
            "ended_time": drive.ended_time,
            "wav": f"/recordings/{task.task_id}/{drive.drive_id}.wav" if kept else None,
        }


def stream_to_delete(query: QueryParams) -> str | None:
    """Return whose recordings are to be deleted, None for all; raises ValueError."""
    match query.multi_items():
        case [("stream_id", stream_id)] if stream_id:
            return stream_id
        case [("all", "true")]:
            return None
        case _:
            raise ValueError("the query must be stream_id={StreamId} or all=true, nothing else")


def debug_headers(token: str) -> dict[str, str]:
    """Return what a program sends along."""
    return {"Authorization": f"Bearer {token}"}


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def not_found() -> Response:
    """Return the answer where nothing is recorded."""
    return PlainTextResponse(NOT_FOUND, status_code=404)
