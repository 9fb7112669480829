"""Why a recording is refused, in a form that passes between two processes."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Self


class Fault(StrEnum):
    """What is wrong with a recording."""

    INVALID = "invalid"
    UNSUPPORTED = "unsupported"
    TOO_LONG = "too_long"


class Refusal(Exception):
    """A recording breaks a rule; the description continues "audio: …"."""

    def __init__(self, fault: Fault, rule: str, description: str) -> None:
        super().__init__(description)
        self.fault = fault
        self.rule = rule
        self.description = description

    @classmethod
    def of(cls, members: Mapping[str, str]) -> Self:
        """Return the refusal that another process has put into words."""
        return cls(Fault(members["fault"]), members["rule"], members["description"])

    def members(self) -> dict[str, str]:
        """Return it in words, for another process."""
        return {"fault": self.fault, "rule": self.rule, "description": self.description}


def damaged() -> Refusal:
    """Not a recording, or not a whole one."""
    return Refusal(Fault.INVALID, "decodable", "is damaged, cut short, or not a sound")


def cut_short() -> Refusal:
    """A recording that ends too early."""
    return Refusal(Fault.INVALID, "complete", "ends before the sound that its header declares")


def unsupported(rule: str, description: str) -> Refusal:
    """A recording in a format that is not taken."""
    return Refusal(Fault.UNSUPPORTED, rule, description)
