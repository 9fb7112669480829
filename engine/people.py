"""The digital humans on offer."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.codes import Code, Refusal

PICTURES = Path(__file__).parent / "assets"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One digital human; its picture lies in the assets."""

    digital_human_id: str
    name: str
    picture: str
    actions: Sequence[str]


PEOPLE = (
    Person(
        digital_human_id="parley_mia",
        name="Mia",
        picture="parley_mia.jpg",
        actions=("idle",),
    ),
)


def find_person(digital_human_id: str) -> Person:
    """Raises `Refusal` when there is no such digital human."""
    for person in PEOPLE:
        if person.digital_human_id == digital_human_id:
            return person
    raise Refusal(Code.DIGITAL_HUMAN_NOT_FOUND)
