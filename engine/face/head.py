"""The rendered head that all looks share: its picture, mouths and eyes, and their places."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.face.pose import CONSONANTS

ASSETS = Path(__file__).parent.parent / "assets" / "head"
MOUTH_STEPS = 5
MOUTHS = (
    *(f"g{opening}{rounding}" for opening in range(MOUTH_STEPS) for rounding in range(MOUTH_STEPS)),
    *CONSONANTS,
)
# Open, three steps of a blink, gaze to the viewer's left and right (the files are named by her own
# sides) and down, raised, smiling.
EYES = ("open", "b1", "b2", "b3", "gr", "gl", "gd", "br", "sq")

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A part of the picture, in its pixels; ends are exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top

    def cut(self, picture: Bytes) -> Bytes:
        """Return the part of a picture within the box."""
        return picture[self.top : self.bottom, self.left : self.right]


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Pictures as BGR with alpha; `width` is also the height of the head's own square.

    `height_dm`, `centre_dm` and `distance_dm` are the size of that square, the height of its centre
    and the distance of the camera.
    """

    plate: Bytes
    mouths: tuple[Bytes, ...]
    eyes: tuple[Bytes, ...]
    mouth_box: Box
    eye_box: Box
    height_dm: float
    centre_dm: float
    distance_dm: float

    @property
    def width(self) -> int:
        return int(self.plate.shape[1])


@cache
def load_head() -> Head:
    """Read the pictures, once per process."""
    facts = json.loads((ASSETS / "meta.json").read_text())
    size = facts["RES"]
    return Head(
        plate=_read("plate_tall"),
        mouths=tuple(_read(f"m_{name}") for name in MOUTHS),
        eyes=tuple(_read(f"e_{name}") for name in EYES),
        mouth_box=_read_box(facts["MB"], size),
        eye_box=_read_box(facts["EB"], size),
        height_dm=facts["H"],
        centre_dm=facts["CY"],
        distance_dm=facts["dist"],
    )


def _read(name: str) -> Bytes:
    picture = cv2.imread(str(ASSETS / f"{name}.png"), cv2.IMREAD_UNCHANGED)
    assert picture is not None, name
    return picture.astype(np.uint8)


def _read_box(corners: list[float], size: int) -> Box:
    # The renderer counts from the bottom up.
    left, bottom, right, top = (round(corner * size) for corner in corners)
    return Box(left=left, top=size - top, right=right, bottom=size - bottom)
