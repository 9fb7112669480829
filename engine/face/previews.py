"""`python -m engine.face.previews FOLDER`: writes the preview picture of every look."""

import sys
from pathlib import Path

import cv2
import numpy as np

from engine.face.canvas import prepare_canvas
from engine.face.head import Bytes
from engine.face.layout import Layout
from engine.face.looks import LOOKS, Look
from engine.face.painter import Painter
from engine.face.pose import Pose

QUALITY = 88
FRIENDLY = Pose(mouth_round=-0.6, mouth_open=0.03, smile=0.6)


def paint_preview(look: Look) -> Bytes:
    """Return a friendly moment of a look, as BGR."""
    frame = Painter(prepare_canvas(look, Layout.SQUARE, None)).paint(FRIENDLY)
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_YUV2BGR_I420), np.uint8)


def main() -> None:
    """Write all previews into a folder."""
    folder = Path(sys.argv[1])
    for look in LOOKS:
        path = folder / f"parley_{look.name}.jpg"
        cv2.imwrite(str(path), paint_preview(look), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])


if __name__ == "__main__":
    main()
