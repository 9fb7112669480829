"""What is removed, because somebody asks or because it is old."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """How many tasks a step has removed, and whether more is left."""

    tasks: int
    has_more: bool
