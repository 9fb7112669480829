"""Paints the frames of one task: patches blended by weight, and one warp by the fields."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.face.canvas import Canvas, Planes
from engine.face.fields import CELL, weigh_fields
from engine.face.head import Box, Bytes
from engine.face.pose import Pose

OPENINGS = (0.0, 0.16, 0.36, 0.62, 1.0)
ROUNDINGS = (-1.0, -0.5, 0.0, 0.5, 1.0)
STEPS = len(OPENINGS)
FIRST_CONSONANT = STEPS * STEPS
CLOSED_MOUTH = STEPS // 2
OPEN_EYES = 0
BLINK_STEPS = 3
LEFT, RIGHT, DOWN, RAISED, SMILING = 4, 5, 6, 7, 8
NEGLIGIBLE = 0.02

Array = NDArray[Any]
Weighted = list[tuple[int, float]]


class Painter:
    """Owns the buffers of one task; one call at a time, from any thread."""

    def __init__(self, canvas: Canvas) -> None:
        self._canvas = canvas
        self._picture = Planes(*(plane.copy() for plane in canvas.picture))
        self._frame = np.empty((canvas.height * 3 // 2, canvas.width), np.uint8)
        self._mouth: Weighted = []
        self._eyes: Weighted = []

    def paint(self, pose: Pose) -> Bytes:
        """Return the frame of a pose as I420, (height * 3/2, width); valid until the next call."""
        mouth, eyes = weigh_mouths(pose), weigh_eyes(pose)
        if mouth != self._mouth:
            self._blend(self._canvas.mouths, mouth, self._canvas.mouth_box)
            self._mouth = mouth
        if eyes != self._eyes:
            self._blend(self._canvas.eyes, eyes, self._canvas.eye_box)
            self._eyes = eyes
        self._warp(pose)
        return self._frame

    def _blend(self, patches: tuple[Planes, ...], weights: Weighted, box: Box) -> None:
        for number, plane in enumerate(self._picture):
            half = 1 if number == 0 else 2
            first, share = weights[0]
            blended: Array = patches[first][number]
            if len(weights) > 1:
                second, other = weights[1]
                blended = cv2.addWeighted(blended, share, patches[second][number], other, 0)
            for patch, weight in weights[2:]:
                blended = cv2.addWeighted(blended, 1.0, patches[patch][number], weight, 0)
            plane[box.top // half : box.bottom // half, box.left // half : box.right // half] = (
                blended
            )

    def _warp(self, pose: Pose) -> None:
        canvas = self._canvas
        width, height = canvas.width, canvas.height
        moves = (weigh_fields(pose.head) @ canvas.fields).reshape(2, height // CELL, width // CELL)
        luma = [
            cv2.add(at, cv2.resize(move, (width, height)))
            for at, move in zip(canvas.luma, moves, strict=True)
        ]
        # The colour planes are half as large, and so are the offsets in them.
        chroma = [
            cv2.add(at, cv2.resize(move, (width // 2, height // 2)))
            for at, move in zip(canvas.chroma, moves * np.float32(0.5), strict=True)
        ]
        picture, frame = self._picture, self._frame
        _remap(picture.y, luma, frame[:height])
        quarter = height + height // 4
        frame[height:quarter] = _remap(picture.u, chroma).reshape(height // 4, width)
        frame[quarter:] = _remap(picture.v, chroma).reshape(height // 4, width)


def weigh_mouths(pose: Pose) -> Weighted:
    """Return the mouths that make up a pose's; the shares sum to 1, the largest comes first."""
    opening, rest = _between(OPENINGS, pose.mouth_open), 1.0 - min(1.0, sum(pose.consonants))
    rounding = _between(ROUNDINGS, pose.mouth_round)
    shares = {
        row * STEPS + column: row_share * column_share * rest
        for row, row_share in opening
        for column, column_share in rounding
    }
    shares |= {FIRST_CONSONANT + number: share for number, share in enumerate(pose.consonants)}
    kept = {patch: share for patch, share in shares.items() if share > NEGLIGIBLE}
    total = sum(kept.values())
    if not total:
        return [(CLOSED_MOUTH, 1.0)]
    return sorted(
        ((patch, share / total) for patch, share in kept.items()), key=lambda pair: -pair[1]
    )


def weigh_eyes(pose: Pose) -> Weighted:
    """Return the eyes that make up a pose's; a blink hides the rest."""
    if pose.blink > NEGLIGIBLE:
        step = min(BLINK_STEPS - 1, int(pose.blink * BLINK_STEPS))
        share = pose.blink * BLINK_STEPS - step
        return [(step, 1.0 - share), (step + 1, share)] if share > NEGLIGIBLE else [(step, 1.0)]
    weights: Weighted = [(OPEN_EYES, 1.0)]
    right, down = pose.gaze
    for patch, share in (
        (RIGHT, right),
        (LEFT, -right),
        (DOWN, down),
        (RAISED, pose.brow),
        (SMILING, pose.smile),
    ):
        if share > NEGLIGIBLE:
            weights = [(other, weight * (1.0 - share)) for other, weight in weights]
            weights.append((patch, share))
    return weights


def _between(steps: tuple[float, ...], value: float) -> tuple[tuple[int, float], tuple[int, float]]:
    below = max(number for number, step in enumerate(steps[:-1]) if step <= max(value, steps[0]))
    share = (value - steps[below]) / (steps[below + 1] - steps[below])
    share = min(1.0, max(0.0, share))
    return (below, 1.0 - share), (below + 1, share)


def _remap(plane: Bytes, places: list[Array], target: Bytes | None = None) -> Bytes:
    x, y = places
    return np.asarray(
        cv2.remap(plane, x, y, cv2.INTER_LINEAR, dst=target, borderMode=cv2.BORDER_REPLICATE),
        np.uint8,
    )
