"""The stages of a turn that providers serve."""

from enum import StrEnum


class Stage(StrEnum):
    """The part of a turn that a provider serves."""

    RECOGNITION = "recognition"
    CHAT = "chat"
    SYNTHESIS = "synthesis"
