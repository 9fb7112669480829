"""Looks and layouts as pixels: people that differ, and poses that show where they should."""

from itertools import combinations

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from engine.face.canvas import Background, prepare_canvas
from engine.face.layout import Layout
from engine.face.looks import LOOKS, MIA, Look
from engine.face.painter import Painter, weigh_eyes, weigh_mouths
from engine.face.pose import HeadPose, Pose
from engine.face.previews import paint_preview
from engine.tasks.digital_humans import DIGITAL_HUMANS, PICTURES, DigitalHuman

Picture = NDArray[np.float64]

EYES = slice(160, 215), slice(195, 325)
MOUTH = slice(240, 310), slice(215, 300)
JACKET = slice(420, 512), slice(60, 160)


def paint(pose: Pose, look: Look = MIA, layout: Layout = Layout.SQUARE) -> Picture:
    """A frame as red, green and blue."""
    return painted(Painter(prepare_canvas(look, layout, None)), pose)


def painted(painter: Painter, pose: Pose) -> Picture:
    frame = painter.paint(pose)
    whole = av.VideoFrame.from_ndarray(frame, format="yuv420p").to_ndarray(format="rgb24")
    return whole.astype(np.float64)


def differ(one: Picture, other: Picture) -> float:
    return float(np.abs(one - other).mean())


@pytest.mark.parametrize("layout", list(Layout))
@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)
def test_every_look_has_every_layout(look: Look, layout: Layout) -> None:
    width, height = layout.size
    painter = Painter(prepare_canvas(look, layout, None))
    picture = painted(painter, Pose())
    assert picture.shape == (height, width, 3)
    assert picture.std() > 30
    speaking = painted(painter, Pose(mouth_open=0.9))
    changed = np.abs(picture - speaking).mean(axis=2) > 25
    assert 0.002 < changed.mean() < 0.05


def test_people_differ_on_screen() -> None:
    pictures = {look.name: paint(Pose(), look) for look in LOOKS}
    assert len(pictures) >= 3
    for one, other in combinations(pictures.values(), 2):
        assert differ(one, other) > 20


@pytest.mark.parametrize("person", DIGITAL_HUMANS, ids=lambda person: person.name)
def test_preview_shows_the_person(person: DigitalHuman) -> None:
    preview = cv2.imread(str(PICTURES / person.picture))
    assert preview is not None
    assert differ(preview.astype(np.float64), paint_preview(person.look).astype(np.float64)) < 4


@pytest.mark.parametrize(
    ("pose", "place"),
    [
        (Pose(mouth_open=0.6), MOUTH),
        (Pose(mouth_round=1.0), MOUTH),
        (Pose(mouth_round=-1.0), MOUTH),
        (Pose(consonants=(0.0, 0.9, 0.0, 0.0, 0.0)), MOUTH),
        (Pose(blink=1.0), EYES),
        (Pose(gaze=(1.0, 0.0)), EYES),
        (Pose(gaze=(-1.0, 0.0)), EYES),
        (Pose(gaze=(0.0, 1.0)), EYES),
        (Pose(brow=1.0), EYES),
        (Pose(smile=1.0), EYES),
    ],
)
def test_pose_shows_where_it_should(pose: Pose, place: tuple[slice, slice]) -> None:
    rest, posed = paint(Pose()), paint(pose)
    assert differ(rest[place], posed[place]) > 2
    assert differ(rest[JACKET], posed[JACKET]) == 0


def test_gaze_goes_to_the_side_it_is_told() -> None:
    def find_iris(x: float) -> float:
        # Of her right eye, which is on the left: where the dark columns are.
        eye = paint(Pose(gaze=(x, 0.0)), layout=Layout.LARGE)[250:280, 280:345].mean(axis=(0, 2))
        darkness = np.clip(np.percentile(eye, 60) - eye, 0, None)
        return float(np.average(np.arange(len(eye)), weights=darkness))

    assert find_iris(-1.0) + 3 < find_iris(0.0) < find_iris(1.0) - 3


@pytest.mark.parametrize(
    "head",
    [HeadPose(yaw=0.1), HeadPose(pitch=0.1), HeadPose(roll=0.1), HeadPose(sway=0.1)],
    ids=["yaw", "pitch", "roll", "sway"],
)
def test_head_moves_and_the_rest_stands_still(head: HeadPose) -> None:
    rest, moved = paint(Pose()), paint(Pose(head=head))
    assert differ(rest[EYES], moved[EYES]) > 3
    corner = slice(0, 30), slice(0, 60)
    assert differ(rest[corner], moved[corner]) < 0.5
    assert differ(rest[JACKET], moved[JACKET]) < 1


def test_breath_lifts_the_shoulders() -> None:
    rest, breathed = paint(Pose()), paint(Pose(head=HeadPose(breath=0.05)))
    shoulder = slice(350, 420), slice(60, 160)
    assert differ(rest[shoulder], breathed[shoulder]) > 1
    assert differ(rest[EYES], breathed[EYES]) < 0.5


def test_painting_goes_back_to_rest() -> None:
    painter = Painter(prepare_canvas(MIA, Layout.SQUARE, None))
    rest = painter.paint(Pose()).copy()
    painter.paint(Pose(mouth_open=1.0, blink=1.0, head=HeadPose(yaw=0.1)))
    assert np.array_equal(painter.paint(Pose()), rest)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_background(alpha: float) -> None:
    own = paint(Pose())[10, 10]
    canvas = prepare_canvas(MIA, Layout.SQUARE, Background(200, 30, 60, alpha))
    frame = av.VideoFrame.from_ndarray(Painter(canvas).paint(Pose()), format="yuv420p")
    corner = frame.to_ndarray(format="rgb24")[10, 10]
    wanted = own * (1 - alpha) + np.array([200, 30, 60]) * alpha
    assert np.abs(corner - wanted).max() < 8


@pytest.mark.parametrize("opening", [0.0, 0.1, 0.16, 0.5, 1.0])
@pytest.mark.parametrize("rounding", [-1.0, -0.3, 0.0, 1.0])
@pytest.mark.parametrize("consonants", [(0.0,) * 5, (0.5, 0.0, 0.0, 0.4, 0.0), (1.0, 0, 0, 0, 0)])
def test_mouths_are_shares_of_a_whole(
    opening: float, rounding: float, consonants: tuple[float, float, float, float, float]
) -> None:
    weights = weigh_mouths(Pose(mouth_open=opening, mouth_round=rounding, consonants=consonants))
    assert sum(share for _, share in weights) == pytest.approx(1)
    assert all(0 <= patch < 30 and share > 0 for patch, share in weights)


@pytest.mark.parametrize(
    "pose",
    [
        Pose(),
        Pose(blink=0.5),
        Pose(blink=1.0),
        Pose(gaze=(0.7, 0.5), brow=0.6, smile=0.9),
        Pose(gaze=(-1.0, -1.0)),
    ],
)
def test_eyes_are_shares_of_a_whole(pose: Pose) -> None:
    assert sum(share for _, share in weigh_eyes(pose)) == pytest.approx(1)
