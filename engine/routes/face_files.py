"""The pictures of a face and how they move, as files for viewers who render it."""

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

import cv2
import numpy as np
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from engine.contract.codes import Refusal
from engine.face.canvas import Background, Canvas, paint_portrait, prepare_canvas
from engine.face.fields import CELL
from engine.face.head import Bytes, load_head
from engine.face.layout import Layout
from engine.face.looks import LOOKS, Look
from engine.tasks.digital_humans import find_digital_human

VERSION = 1
PATH = "/face"
# Renders the face in a browser.
MODULE = Path(__file__).parent.parent / "assets" / "blendshape.js"
QUALITY = 90
MOUTH_COLUMNS = 6
EYE_COLUMNS = 3
HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "ETag",
    "Cache-Control": "public, max-age=86400",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
BLACK = Background(0, 0, 0)


@dataclass(frozen=True, slots=True)
class File:
    """One file and the tag of its contents."""

    content: bytes
    media_type: str

    @property
    def tag(self) -> str:
        return f'"{hashlib.sha256(self.content).hexdigest()[:32]}"'


class FaceFiles:
    """Makes the files of a digital human on first request."""

    def __init__(self) -> None:
        self._making = asyncio.Lock()
        self._module = File(MODULE.read_bytes(), "text/javascript")

    def routes(self) -> list[Route]:
        """Routes below the root of the application."""
        return [
            Route(f"{PATH}/{MODULE.name}", self._show_module, methods=["GET"]),
            Route(f"{PATH}/{{digital_human}}/{{layout}}/{{name}}", self._show, methods=["GET"]),
        ]

    async def _show_module(self, request: Request) -> Response:
        return _answer(request, self._module)

    async def _show(self, request: Request) -> Response:
        try:
            look = find_digital_human(request.path_params["digital_human"]).look
            layout = Layout(request.path_params["layout"])
            # One at a time: running tasks need the other cores.
            async with self._making:
                files = await asyncio.to_thread(make_files, look, layout)
            file = files[request.path_params["name"]]
        except (Refusal, ValueError, KeyError):
            return PlainTextResponse("no such file\n", status_code=404, headers=HEADERS)
        return _answer(request, file)


def _answer(request: Request, file: File) -> Response:
    headers = {**HEADERS, "ETag": file.tag}
    if request.headers.get("If-None-Match") == file.tag:
        return Response(status_code=304, headers=headers)
    return Response(file.content, media_type=file.media_type, headers=headers)


def face_address(digital_human_id: str, layout: Layout, background: Background | None) -> str:
    """Return the path of the files of a face; the query is for the renderer."""
    query = "" if background is None else f"?background={quote(_write_colour(background))}"
    return f"{PATH}/{digital_human_id}/{layout}/{query}"


def _write_colour(background: Background) -> str:
    channels = (background.red, background.green, background.blue, round(background.alpha * 255))
    return "#" + "".join(f"{channel:02x}" for channel in channels)


@lru_cache(maxsize=len(LOOKS) * len(Layout))
def make_files(look: Look, layout: Layout) -> Mapping[str, File]:
    """Return all files of a face by name; takes about a second, once."""
    head = load_head()
    # On black, the colours are premultiplied by alpha.
    portrait = paint_portrait(head, look, BLACK)
    canvas = prepare_canvas(look, layout, None)
    mouths = [canvas.mouth_box.cut(picture) for picture in portrait.mouths()]
    eyes = [canvas.eye_box.cut(picture) for picture in portrait.eyes()]
    base = np.dstack([portrait.picture, head.plate[..., 3]])
    grid, start, step = _make_grid(canvas)
    facts = {
        "version": VERSION,
        "frame": layout.size,
        "picture": (base.shape[1], base.shape[0]),
        "mouth": {"box": asdict(canvas.mouth_box), "columns": MOUTH_COLUMNS, "count": len(mouths)},
        "eyes": {"box": asdict(canvas.eye_box), "columns": EYE_COLUMNS, "count": len(eyes)},
        "grid": {"columns": grid.shape[2], "rows": grid.shape[1], "start": start, "step": step},
        "backdrop": {"inner": look.backdrop.inner, "outer": look.backdrop.outer},
    }
    return {
        "meta.json": File(json.dumps(facts).encode(), "application/json"),
        "base.webp": File(_compress(base), "image/webp"),
        "mouth.webp": File(_compress(_tile(mouths, MOUTH_COLUMNS)), "image/webp"),
        "eyes.webp": File(_compress(_tile(eyes, EYE_COLUMNS)), "image/webp"),
        "grid.f16": File(grid.astype("<f2").tobytes(), "application/octet-stream"),
    }


def _make_grid(canvas: Canvas) -> tuple[np.ndarray, tuple[float, float], tuple[float, float]]:
    """Where the cells of a frame lie in the picture, in pixels: the bend, then the five fields.

    The shape is (6, rows, columns, 2). The bend is the difference from an even grid that starts at
    `start` (the middle of the first cell) and continues by `step`, as small numbers fit into 16
    bits.
    """
    rows, columns = canvas.height // CELL, canvas.width // CELL
    x, y = (_pick_centres(plane) for plane in canvas.luma)
    start = float(x[0, 0]), float(y[0, 0])
    step = (
        float(x[0, -1] - x[0, 0]) / (columns - 1),
        float(y[-1, 0] - y[0, 0]) / (rows - 1),
    )
    bend = np.stack(
        [
            x - start[0] - step[0] * np.arange(columns),
            y - start[1] - step[1] * np.arange(rows)[:, None],
        ]
    )
    fields = canvas.fields.reshape(5, 2, rows, columns)
    return np.concatenate([bend[np.newaxis], fields]).transpose(0, 2, 3, 1), start, step


def _pick_centres(plane: np.ndarray) -> np.ndarray:
    """The values between the four pixels in the middle of each cell."""
    low, high = CELL // 2 - 1, CELL // 2
    corners = [plane[row::CELL, column::CELL] for row in (low, high) for column in (low, high)]
    return sum(corners[1:], corners[0]) / len(corners)


def _tile(pictures: Sequence[Bytes], columns: int) -> Bytes:
    rows = -(-len(pictures) // columns)
    height, width = pictures[0].shape[:2]
    sheet = np.zeros((rows * height, columns * width, 3), np.uint8)
    for number, picture in enumerate(pictures):
        top, left = number // columns * height, number % columns * width
        sheet[top : top + height, left : left + width] = picture
    return sheet


def _compress(picture: Bytes) -> bytes:
    written, webp = cv2.imencode(".webp", picture, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
    assert written
    return webp.tobytes()
