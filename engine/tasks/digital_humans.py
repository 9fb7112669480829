"""The digital humans on offer, and what the viewers of a task see."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.contract.codes import Code, Refusal
from engine.contract.parameters import CreateTask
from engine.face.canvas import Background
from engine.face.gestures import GESTURES
from engine.face.layout import Layout
from engine.face.looks import AMARA, ELIN, MIA, YUNA, Look
from engine.face.studio import Scene

PICTURES = Path(__file__).parent.parent / "assets" / "pictures"
SHORT_COLOUR_LENGTH = len("#rrggbb")


@dataclass(frozen=True, slots=True, kw_only=True)
class DigitalHuman:
    """One digital human; its picture is in the assets."""

    digital_human_id: str
    name: str
    look: Look
    actions: Sequence[str] = tuple(GESTURES)

    @property
    def picture(self) -> str:
        return f"{self.digital_human_id}.jpg"


DIGITAL_HUMANS = tuple(
    DigitalHuman(digital_human_id=f"parley_{look.name}", name=look.name.title(), look=look)
    for look in (MIA, AMARA, ELIN, YUNA)
)


def find_digital_human(digital_human_id: str) -> DigitalHuman:
    """Return a digital human; raises `Refusal` if there is no such one."""
    for digital_human in DIGITAL_HUMANS:
        if digital_human.digital_human_id == digital_human_id:
            return digital_human
    raise Refusal(Code.DIGITAL_HUMAN_NOT_FOUND)


def choose_scene(request: CreateTask, layout: Layout) -> Scene:
    """Return what a task shows; its own size takes precedence over the settings."""
    config = request.digital_human_config
    return Scene(
        look=find_digital_human(config.digital_human_id).look,
        layout=_read_layout(request.video_config) or layout,
        background=_read_background(config.background_color),
    )


def _read_layout(video_config: Any) -> Layout | None:
    """Return the size that older clients send, if it is supported."""
    if not isinstance(video_config, dict):
        return None
    size = f"{video_config.get('Width')}x{video_config.get('Height')}"
    return Layout(size) if size in set(Layout) else None


def _read_background(colour: str | None) -> Background | None:
    """Return the background; None means the look's own."""
    if colour is None:
        return None
    opacity = 1.0 if len(colour) == SHORT_COLOUR_LENGTH else int(colour[1:3], 16) / 255
    red, green, blue = bytes.fromhex(colour[-6:])
    return Background(red, green, blue, opacity)
