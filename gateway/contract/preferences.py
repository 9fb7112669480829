"""How and when a client is answered: as it asks (RFC 9110, RFC 7240), else as deployed."""

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

from fastapi import Header

RESPOND_ASYNC = "respond-async"
WAIT = "wait"
APPLIED = {"Preference-Applied": RESPOND_ASYNC}

Prefer = Annotated[
    list[str] | None,
    Header(
        alias="Prefer",
        description="`respond-async`: answer early, with 202. `wait`: answer when all is done. "
        "Default: as the deployment is set.",
    ),
]


class CreateAnswer(StrEnum):
    """When create-task is answered."""

    ON_AIR = "on-air"
    ACCEPTED = "accepted"


class TalkAnswer(StrEnum):
    """When a question is answered."""

    FINISHED = "finished"
    PLAYING = "playing"


def accepts(media_type: str, accept: Sequence[str]) -> bool:
    """Whether a client names a media type in its `Accept` headers, and does not exclude it."""
    for offer in (each for line in accept for each in line.lower().split(",")):
        name, *parameters = (each.strip() for each in offer.split(";"))
        if name == media_type:
            return not any(re.fullmatch(r"q\s*=\s*0(\.0*)?", each) for each in parameters)
    return False


def prefers_early(prefer: Sequence[str] | None) -> bool | None:
    """Whether a client wants an early answer; None when it does not say."""
    preferences = (each for line in prefer or () for each in line.split(","))
    names = {each.partition(";")[0].partition("=")[0].strip().lower() for each in preferences}
    if RESPOND_ASYNC in names:
        return True
    return False if WAIT in names else None
