"""A face in one look, layout and background, ready to be painted: shared by all tasks."""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.face.fields import CELL, make_fields
from engine.face.head import Box, Bytes, Head, load_head
from engine.face.layout import Layout
from engine.face.looks import Backdrop, Framing, Look, bend
from engine.face.ramps import Floats, ramp

MAX_KEPT = 12
FEATHER = 0.16


@dataclass(frozen=True, slots=True)
class Background:
    """A plain colour behind the face; with an alpha below 1, over the look's own backdrop."""

    red: int
    green: int
    blue: int
    alpha: float = 1.0


class Planes(NamedTuple):
    """Brightness, and both colour differences at half the size."""

    y: Bytes
    u: Bytes
    v: Bytes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Canvas:
    """The picture at rest, patches for mouth and eyes, and the map from a frame's pixels to it.

    `luma` and `chroma` are the x and y of the frame's pixels in the picture's planes; `fields` move
    them, on a grid of cells of 8 pixels of the frame, in pixels of the picture.
    """

    width: int
    height: int
    picture: Planes
    mouths: tuple[Planes, ...]
    eyes: tuple[Planes, ...]
    mouth_box: Box
    eye_box: Box
    luma: tuple[Floats, Floats]
    chroma: tuple[Floats, Floats]
    fields: Floats


@lru_cache(maxsize=MAX_KEPT)
def prepare_canvas(look: Look, layout: Layout, background: Background | None) -> Canvas:
    """Make a canvas, which takes about a second; recent ones are cached.

    Those of a look in several layouts have the same planes.
    """
    head = load_head()
    planes = _paint_planes(look, background)
    width, height = layout.size
    luma = _find_pixels(look, width, height, scale=1)
    chroma_x, chroma_y = _find_pixels(look, width // 2, height // 2, scale=2)
    return Canvas(
        width=width,
        height=height,
        picture=planes.picture,
        mouths=planes.mouths,
        eyes=planes.eyes,
        mouth_box=_even(head.mouth_box),
        eye_box=_even(head.eye_box),
        luma=luma,
        # A pixel of the colour planes covers two of the picture, from its upper left corner.
        chroma=(_halve(chroma_x), _halve(chroma_y)),
        fields=_place_fields(make_fields(head), look, width, height),
    )


class _PortraitPlanes(NamedTuple):
    """A portrait as a canvas keeps it."""

    picture: Planes
    mouths: tuple[Planes, ...]
    eyes: tuple[Planes, ...]


@lru_cache(maxsize=MAX_KEPT)
def _paint_planes(look: Look, background: Background | None) -> _PortraitPlanes:
    head = load_head()
    portrait = paint_portrait(head, look, background)
    mouth_box, eye_box = _even(head.mouth_box), _even(head.eye_box)
    return _PortraitPlanes(
        picture=_split(portrait.picture),
        mouths=tuple(_split(mouth_box.cut(whole)) for whole in portrait.mouths()),
        eyes=tuple(_split(eye_box.cut(whole)) for whole in portrait.eyes()),
    )


@dataclass(frozen=True, slots=True)
class Portrait:
    """A look in full colour, as BGR: the picture at rest, and the same with other patches."""

    picture: Bytes
    head: Head
    look: Look

    def mouths(self) -> list[Bytes]:
        """Return the picture with each of the mouths."""
        return [self._patch(sprite, self.head.mouth_box) for sprite in self.head.mouths]

    def eyes(self) -> list[Bytes]:
        """Return the picture with each of the eyes."""
        return [self._patch(sprite, self.head.eye_box) for sprite in self.head.eyes]

    def _patch(self, sprite: Bytes, box: Box) -> Bytes:
        dyed = self.look.dyes.apply(sprite, left=box.left, top=box.top)
        return _patch(self.picture, dyed, box)


def paint_portrait(head: Head, look: Look, background: Background | None) -> Portrait:
    """Colour the head and place it in front of its background."""
    plate = look.dyes.apply(head.plate, left=0, top=0)
    alpha = plate[..., 3:].astype(np.float32) / 255.0
    behind = _paint_backdrop(look.backdrop, head, background)
    picture = _round(plate[..., :3] * alpha + behind * (1.0 - alpha))
    open_eyes = look.dyes.apply(head.eyes[0], left=head.eye_box.left, top=head.eye_box.top)
    return Portrait(_patch(picture, open_eyes, head.eye_box), head, look)


def _paint_backdrop(backdrop: Backdrop, head: Head, background: Background | None) -> Floats:
    height, width = head.plate.shape[:2]
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    away = np.hypot(columns / width - 0.52, rows / width - 0.40)
    share = np.clip(away / 0.75, 0.0, 1.0)[..., np.newaxis]
    inner, outer = (
        np.array(colour[::-1], np.float32) for colour in (backdrop.inner, backdrop.outer)
    )
    gradient: Floats = (inner * (1.0 - share) + outer * share).astype(np.float32)
    if background is None:
        return gradient
    plain = np.array([background.blue, background.green, background.red], np.float32)
    opacity = np.float32(background.alpha)
    return gradient * (1 - opacity) + plain * opacity


def _patch(picture: Bytes, sprite: Bytes, box: Box) -> Bytes:
    """Return the picture with a sprite that fades out at the edges of its box."""
    patched = picture.copy()
    fade = np.outer(_feather(box.height), _feather(box.width))
    share = fade[..., np.newaxis].astype(np.float32)
    below = box.cut(picture).astype(np.float32)
    box.cut(patched)[...] = _round(below * (1 - share) + sprite[..., :3] * share)
    return patched


def _feather(length: int) -> Floats:
    at = np.arange(length, dtype=np.float32)
    return ramp(0.0, FEATHER * length, np.minimum(at, at[::-1]))


def _round(picture: NDArray[np.floating]) -> Bytes:
    rounded: Bytes = np.clip(picture + 0.5, 0.0, 255.0).astype(np.uint8)
    return rounded


def _even(box: Box) -> Box:
    left, top, right, bottom = (
        edge // 2 * 2 for edge in (box.left, box.top, box.right, box.bottom)
    )
    return Box(left=left, top=top, right=right, bottom=bottom)


def _split(picture: Bytes) -> Planes:
    height, width = picture.shape[:2]
    planes = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_BGR2YUV_I420).ravel()
    luma, chroma = width * height, width * height // 4
    half = (height // 2, width // 2)
    return Planes(
        planes[:luma].reshape(height, width).astype(np.uint8),
        planes[luma : luma + chroma].reshape(half).astype(np.uint8),
        planes[luma + chroma :].reshape(half).astype(np.uint8),
    )


def _find_pixels(look: Look, width: int, height: int, *, scale: int) -> tuple[Floats, Floats]:
    """Return where the pixels of a frame, `scale` times as large, lie in the picture."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    return _trace(look, (columns + 0.5) * scale, (rows + 0.5) * scale, width * scale)


def _halve(pixels: Floats) -> Floats:
    return (pixels - np.float32(0.5)) / np.float32(2.0)


def _trace(look: Look, x: Floats, y: Floats, width: int) -> tuple[Floats, Floats]:
    """Map points of a frame (whole numbers are edges, not centres) to pixels of the picture."""
    framing, size = look.framing, load_head().width
    step = size / width / framing.zoom
    left, top = (_first(framing, size, axis) for axis in (0, 1))
    x_picture, y_picture = left + x * step - 0.5, top + y * step - 0.5
    x_shaped, y_shaped = bend(look.shape, *_mirror(framing, size, x_picture, y_picture))
    return x_shaped.astype(np.float32), y_shaped.astype(np.float32)


def _first(framing: Framing, size: int, axis: int) -> float:
    """Return the first visible point of the picture, so that nothing beyond its edges is."""
    seen = size / framing.zoom
    return float(np.clip(framing.centre[axis] - seen / 2, 0.0, size - seen))


def _mirror(framing: Framing, size: int, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    return (size - 1 - x, y) if framing.mirrored else (x, y)


def _place_fields(fields: Floats, look: Look, width: int, height: int) -> Floats:
    """Return the fields in the frame, one point for each of its cells."""
    rows, columns = np.mgrid[0 : height // CELL, 0 : width // CELL].astype(np.float32)
    x, y = _trace(look, (columns + 0.5) * CELL, (rows + 0.5) * CELL, width)
    columns, rows = ((pixels + np.float32(0.5)) / CELL - np.float32(0.5) for pixels in (x, y))
    placed = [
        cv2.remap(plane, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        for plane in fields.reshape(-1, *fields.shape[2:])
    ]
    return np.stack(placed).reshape(5, -1).astype(np.float32)
