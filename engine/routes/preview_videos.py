"""A short video of every action, for `PreviewUrl`, made on first request."""

import asyncio
from functools import lru_cache
from io import BytesIO

import av
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from engine.contract.codes import Refusal
from engine.face.canvas import prepare_canvas
from engine.face.encoder import FRAME_RATE
from engine.face.gestures import GESTURES
from engine.face.layout import Layout
from engine.face.looks import LOOKS, Look
from engine.face.painter import Painter
from engine.face.performer import Performer
from engine.tasks.digital_humans import find_digital_human

PATH = "/previews"
MEDIA_TYPE = "video/webm"
REST_S = 0.4
SHORTEST_S = 2.0
BIT_RATE = 400_000
HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Cache-Control": "public, max-age=86400",
    "Cross-Origin-Resource-Policy": "cross-origin",
}


class PreviewVideos:
    """Serves the videos; makes one at a time, since running tasks need the other cores."""

    def __init__(self) -> None:
        self._making = asyncio.Lock()

    def routes(self) -> list[Route]:
        """Routes below the root of the application."""
        return [Route(f"{PATH}/{{digital_human}}/{{action}}.webm", self._show, methods=["GET"])]

    async def _show(self, request: Request) -> Response:
        action = request.path_params["action"]
        try:
            digital_human = find_digital_human(request.path_params["digital_human"])
        except Refusal:
            return PlainTextResponse("no such video\n", status_code=404, headers=HEADERS)
        if action not in digital_human.actions:
            return PlainTextResponse("no such video\n", status_code=404, headers=HEADERS)
        async with self._making:
            video = await asyncio.to_thread(make_video, digital_human.look, action)
        return Response(video, media_type=MEDIA_TYPE, headers=HEADERS)


def preview_address(digital_human_id: str, action: str) -> str:
    """Return the path of the video of an action."""
    return f"{PATH}/{digital_human_id}/{action}.webm"


@lru_cache(maxsize=len(LOOKS) * len(GESTURES))
def make_video(look: Look, action: str) -> bytes:
    """Return a WebM of the action, VP8 without sound; takes a second or two."""
    performer = Performer()
    painter = Painter(prepare_canvas(look, Layout.SQUARE, None))
    seconds = max(SHORTEST_S, GESTURES[action].duration_s + 2 * REST_S)
    file = BytesIO()
    with av.open(file, "w", format="webm") as container:
        stream = container.add_stream("libvpx", rate=FRAME_RATE)
        stream.width, stream.height = Layout.SQUARE.size
        stream.pix_fmt, stream.bit_rate = "yuv420p", BIT_RATE
        stream.thread_count = 1
        stream.options = {"deadline": "realtime", "cpu-used": "-8"}
        for index in range(round(seconds * FRAME_RATE)):
            at_s = index / FRAME_RATE
            if index == round(REST_S * FRAME_RATE):
                performer.act(action)
            picture = painter.paint(performer.pose_at(at_s))
            frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()
