"""WHEP: the HTTP side of a viewer; who may watch, and what is answered."""

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from engine.contract.codes import Code, Refusal
from engine.contract.token import InvalidToken
from engine.contract.viewer_token import ForeignToken, ViewerTokens
from engine.routes.door import Door
from engine.routes.face_files import face_address
from engine.routes.request_body import BodyRefused, read_body
from engine.tasks.digital_humans import choose_scene
from engine.tasks.lifecycle import Tasks
from engine.tasks.task import Task
from engine.viewing.viewers import (
    BadOffer,
    Output,
    TooManyViewers,
    Viewer,
    Viewers,
    check_candidates,
)

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"
MAX_SDP_BYTES = 64 * 1024
FACE_RELATION = "face"
RETRY_AFTER_S = "1"
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Location, ETag, Link, Accept-Patch, Accept-Post, Retry-After",
}
PREFLIGHT = {
    "Access-Control-Allow-Methods": "POST, PATCH, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match",
    "Access-Control-Max-Age": "600",
    "Accept-Post": SDP,
}


class Denial(Exception):
    """A request that is answered with an HTTP error."""

    def __init__(self, status: int, text: str, **headers: str) -> None:
        super().__init__(text)
        self.response = PlainTextResponse(
            f"{text}\n",
            status_code=status,
            headers={**CORS, **{name.replace("_", "-"): value for name, value in headers.items()}},
        )


class Whep:
    """The endpoints of all streams."""

    def __init__(self, *, tasks: Tasks, viewers: Viewers, tokens: ViewerTokens, door: Door) -> None:
        self._tasks = tasks
        self._door = door
        self._viewers = viewers
        self._tokens = tokens

    def routes(self) -> list[Route]:
        """Routes below the root of the application."""
        answer = self._door.guard(self._answer)
        return [
            Route("/whep/{stream_id}", answer, methods=["POST", "OPTIONS"]),
            Route(
                "/whep/{stream_id}/{viewer_id}",
                answer,
                methods=["PATCH", "DELETE", "OPTIONS"],
            ),
        ]

    async def _answer(self, request: Request) -> Response:
        try:
            match request.method:
                case "POST":
                    return await self._join(request)
                case "PATCH":
                    return await self._trickle(request)
                case "DELETE":
                    return await self._leave(request)
                case _:
                    return Response(status_code=204, headers=CORS | PREFLIGHT)
        except Denial as denial:
            return denial.response

    async def _join(self, request: Request) -> Response:
        task = self._authorise(request)
        _require_type(request, SDP)
        output = _read_output(request)
        offer = await _read_text(request)
        try:
            viewer_id, answer = await self._viewers.admit(task, offer, output)
        except Refusal as refusal:
            raise _not_on_air(refusal) from None
        except TooManyViewers:
            raise Denial(503, "too many viewers", Retry_After=RETRY_AFTER_S) from None
        except BadOffer as error:
            raise Denial(400, str(error)) from None
        headers = {
            "Location": f"/whep/{task.stream_id}/{viewer_id}",
            "ETag": f'"{viewer_id}"',
            "Accept-Patch": FRAGMENT,
        }
        if output is Output.BLENDSHAPE:
            scene = choose_scene(task.request, self._tasks.rules.layout)
            digital_human_id = task.request.digital_human_config.digital_human_id
            address = face_address(digital_human_id, scene.layout, scene.background)
            headers["Link"] = f'<{address}>; rel="{FACE_RELATION}"'
        return Response(answer, status_code=201, media_type=SDP, headers=CORS | headers)

    async def _trickle(self, request: Request) -> Response:
        if self._known_viewer(request) is None:
            raise Denial(404, "no such viewer")
        _require_type(request, FRAGMENT)
        try:
            check_candidates(await _read_text(request))
        except BadOffer as error:
            raise Denial(400, str(error)) from None
        return Response(status_code=204, headers=CORS)

    async def _leave(self, request: Request) -> Response:
        # One that is already gone is what the caller wants.
        viewer = self._known_viewer(request)
        if viewer is not None:
            viewer.leave()
        return Response(status_code=200, headers=CORS)

    def _known_viewer(self, request: Request) -> Viewer | None:
        # The address of a viewer cannot be guessed, so knowing it is permission enough.
        return self._viewers.find(
            request.path_params["stream_id"], request.path_params["viewer_id"]
        )

    def _authorise(self, request: Request) -> Task:
        scheme, _, credential = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not credential:
            raise Denial(401, "a viewer token is required", WWW_Authenticate="Bearer")
        try:
            token = self._tokens.read(credential.strip())
        except InvalidToken as error:
            raise Denial(401, str(error), WWW_Authenticate='Bearer error="invalid_token"') from None
        task = self._tasks.find_stream(request.path_params["stream_id"])
        if task is None:
            raise Denial(404, "no such stream")
        try:
            token.require_room(task.room_id)
        except ForeignToken as error:
            raise Denial(403, str(error)) from None
        try:
            task.require_stage()
        except Refusal as refusal:
            raise _not_on_air(refusal) from None
        return task


def _not_on_air(refusal: Refusal) -> Denial:
    if refusal.code is Code.STREAM_NOT_STARTED:
        return Denial(409, "the stream is not on air yet", Retry_After=RETRY_AFTER_S)
    return Denial(404, "no such stream")


def _read_output(request: Request) -> Output:
    try:
        return Output(request.query_params.get("output", Output.VIDEO))
    except ValueError:
        raise Denial(400, f"output must be {' or '.join(Output)}") from None


def _require_type(request: Request, expected: str) -> None:
    content_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if content_type != expected:
        raise Denial(415, f"the body must be {expected}", Accept_Post=SDP)


async def _read_text(request: Request) -> str:
    try:
        return (await read_body(request, limit=MAX_SDP_BYTES)).decode()
    except BodyRefused as error:
        raise Denial(error.status, str(error)) from None
    except UnicodeDecodeError:
        raise Denial(400, "the body is not UTF-8 text") from None
