"""New colours for parts of the rendered head: skin, hair, eyes, jacket and shirt."""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.face.head import Bytes
from engine.face.ramps import Floats, ramp

SHIRT_TOP = 545.0
FACE_CENTRE = (360.0, 300.0)
FACE_RADII = (124.0, 168.0)
NECK_RADII = (88.0, 120.0)
NECK_CENTRE = (360.0, 520.0)
IRISES = ((311.0, 264.0), (416.0, 264.0))
IRIS_RADII = (24.0, 13.0)
MIDDLE_LIGHTNESS = 50.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Dye:
    """A colour in CIE Lab: lightness by a factor and a lift, the colour's own share of chroma, and
    the chroma that is added in the middle lightness (less in the dark, more in the light)."""

    lightness: float = 1.0
    lift: float = 0.0
    keep: float = 1.0
    red: float = 0.0
    yellow: float = 0.0

    def apply(self, lab: Floats) -> Floats:
        """Return Lab pixels in that colour."""
        lightness = np.clip(lab[..., 0] * self.lightness + self.lift, 0.0, 100.0)
        strength = lightness / MIDDLE_LIGHTNESS
        return np.stack(
            [
                lightness,
                lab[..., 1] * self.keep + self.red * strength,
                lab[..., 2] * self.keep + self.yellow * strength,
            ],
            axis=-1,
        ).astype(np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dyes:
    """The colours; None leaves a part as rendered."""

    skin: Dye | None = None
    hair: Dye | None = None
    eyes: Dye | None = None
    jacket: Dye | None = None
    shirt: Dye | None = None

    def apply(self, picture: Bytes, *, left: int, top: int) -> Bytes:
        """Return a BGRA part of the picture, at its place, in these colours."""
        if self == Dyes():
            return picture
        scaled = picture[..., :3].astype(np.float32) / 255.0
        lab = cv2.cvtColor(scaled, cv2.COLOR_BGR2LAB).astype(np.float32)
        parts = _Parts(lab, left, top)
        dyed = lab
        for part in ("skin", "hair", "eyes", "jacket", "shirt"):
            dye: Dye | None = getattr(self, part)
            if dye is not None:
                share = getattr(parts, part)[..., np.newaxis]
                dyed = dyed * (1.0 - share) + dye.apply(lab) * share
        coloured = cv2.cvtColor(dyed.astype(np.float32), cv2.COLOR_LAB2BGR)
        result = picture.copy()
        result[..., :3] = np.clip(coloured * 255.0 + 0.5, 0.0, 255.0)
        return result


class _Parts:
    """Soft masks, 0 to 1, of what a pixel belongs to, by its colour and place; made when needed."""

    def __init__(self, lab: Floats, left: int, top: int) -> None:
        height, width = lab.shape[:2]
        rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
        self._x, self._y = columns + left, rows + top
        self._lightness = lab[..., 0]
        self._chroma = np.hypot(lab[..., 1], lab[..., 2])
        self._blueness = -lab[..., 2]

    @cached_property
    def jacket(self) -> Floats:
        # Its brightest edges are hardly blue, but nothing else is this far out and low.
        outside = ramp(112.0, 118.0, np.abs(self._x - FACE_CENTRE[0])) * ramp(
            SHIRT_TOP, SHIRT_TOP + 20.0, self._y
        )
        blue = ramp(1.0, 4.0, self._blueness) * ramp(480.0, 500.0, self._y)
        return _soft(np.maximum(blue, outside))

    @cached_property
    def shirt(self) -> Floats:
        grey = 1.0 - ramp(12.0, 16.0, self._chroma)
        low = ramp(SHIRT_TOP - 4, SHIRT_TOP + 4, self._y)
        bright = ramp(25.0, 45.0, self._lightness)
        return _soft(low * grey * bright * (1.0 - self.jacket))

    @cached_property
    def eyes(self) -> Floats:
        place = np.zeros_like(self._x)
        for centre in IRISES:
            place = np.maximum(place, self._within(centre, IRIS_RADII, 0.85, 1.05))
        dark = 1.0 - ramp(46.0, 54.0, self._lightness)
        return _soft(place * dark)

    @cached_property
    def skin(self) -> Floats:
        others = np.stack([self.jacket, self.hair, self.eyes, self.shirt])
        return _soft(ramp(7.0, 15.0, self._chroma) * np.prod(1.0 - others, axis=0))

    @cached_property
    def hair(self) -> Floats:
        face = self._within(FACE_CENTRE, FACE_RADII, 0.97, 1.03)
        neck = self._within(NECK_CENTRE, NECK_RADII, 0.95, 1.05)
        sure = self._within(FACE_CENTRE, FACE_RADII, 0.84, 0.93)
        dark = 1.0 - ramp(38.0, 50.0, self._lightness)
        edge = dark * (1.0 - sure)
        above = 1.0 - ramp(548.0, 560.0, self._y)
        inside = np.maximum(face, neck)
        # Skin outside both ellipses, but never as far out as the highlights at the hair's edge.
        near = self._within(FACE_CENTRE, FACE_RADII, 1.06, 1.14) + ramp(400.0, 430.0, self._y)
        skin = ramp(26.0, 38.0, self._lightness) * ramp(15.0, 21.0, self._chroma)
        bare = skin * np.minimum(near, 1.0)
        covered = (1.0 - inside * (1.0 - edge * face)) * (1.0 - bare)
        return _soft(above * (1.0 - self.jacket) * covered)

    def _within(
        self, centre: tuple[float, float], radii: tuple[float, float], full: float, none: float
    ) -> Floats:
        distance = np.hypot((self._x - centre[0]) / radii[0], (self._y - centre[1]) / radii[1])
        return _soft(1.0 - ramp(full, none, distance))


def _soft(mask: NDArray[np.floating]) -> Floats:
    return mask.astype(np.float32)
