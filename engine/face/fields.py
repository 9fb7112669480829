"""How the picture of a head moves: five fields that say where each pixel comes from."""

import cv2
import numpy as np

from engine.face.head import Head
from engine.face.pose import HeadPose
from engine.face.ramps import Floats, ramp

CELL = 8
FOCUS_DM = 1.0
NECK_DM = 6.0
PIVOT_DEPTH_DM = 0.25


def make_fields(head: Head) -> Floats:
    """Return x and y, in pixels, for a unit of yaw, pitch, roll, sway and breath.

    The shape is (5, 2, height / 8, width / 8). The head is treated as an ellipsoid with a nose, on
    still shoulders; the background does not move.
    """
    size = head.width
    height, width = (length // CELL for length in head.plate.shape[:2])
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    x_dm = ((columns + 0.5) * CELL - size / 2) / size * head.height_dm
    y_dm = head.centre_dm - ((rows + 0.5) * CELL - size / 2) / size * head.height_dm
    depth = _guess_depth(x_dm, y_dm)
    distance = head.distance_dm
    nearness = (distance - depth) / (distance - FOCUS_DM)
    x = x_dm * nearness
    y = head.centre_dm + (y_dm - head.centre_dm) * nearness
    person = _soften(head.plate[..., 3].astype(np.float32) / 255.0, width, height)
    near = 1.0 - np.maximum(0.0, np.hypot(x / 1.9, (y - 7.2) / 2.0) - 1.0) / 0.6
    weight = ramp(5.55, 6.6, y) * np.clip(near, 0.0, 1.0) * person
    scale = (distance - FOCUS_DM) / head.height_dm * size

    def project(x_move: Floats, y_move: Floats, z_move: Floats) -> Floats:
        # To first order, a pixel comes from where the inverse movement takes it.
        left = distance - depth
        across = x_move * scale / left + x * scale * z_move / left**2
        down = -(y_move * scale / left + (y - head.centre_dm) * scale * z_move / left**2)
        return np.stack([-across * weight, -down * weight])

    above, before = y - NECK_DM, depth - PIVOT_DEPTH_DM
    still, moved = np.zeros_like(x), np.ones_like(x)
    shoulders = ramp(6.4, 5.2, y) * ramp(0.5, 4.5, y) * person
    breath = np.stack([shoulders * x * -0.25, shoulders]) * size / head.height_dm
    return np.stack(
        [
            project(before, still, -x),
            project(still, -before, above),
            project(-above, x, still),
            project(moved, still, still),
            breath,
        ]
    ).astype(np.float32)


def weigh_fields(pose: HeadPose) -> Floats:
    """Return the share of each field in a pose."""
    return np.array([pose.yaw, pose.pitch, pose.roll, pose.sway, pose.breath], np.float32)


def _guess_depth(x: Floats, y: Floats) -> Floats:
    skull = np.clip(1.0 - ((x / 0.95) ** 2 + ((y - 7.25) / 1.45) ** 2), 0.0, 1.0) ** 0.5 * 1.15
    nose = 0.32 * np.exp(-((x / 0.16) ** 2 + ((y - 6.98) / 0.22) ** 2))
    depth: Floats = np.maximum(skull + 0.35 + nose, 0.35)
    return depth


def _soften(alpha: Floats, width: int, height: int) -> Floats:
    small = cv2.resize(alpha, (width, height), interpolation=cv2.INTER_AREA)
    wide = cv2.dilate(small, np.ones((5, 5), np.uint8))
    return np.asarray(cv2.GaussianBlur(wide, (0, 0), 3.0), np.float32)
