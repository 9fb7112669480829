"""Finds what an answer should leave out."""

from collections.abc import Iterator
from typing import Any


def unset_members(body: Any, path: str = "") -> Iterator[str]:
    """Yield the paths of all members that are null or an empty text."""
    match body:
        case dict():
            for name, value in body.items():
                yield from unset_members(value, f"{path}.{name}")
        case list():
            for index, value in enumerate(body):
                yield from unset_members(value, f"{path}[{index}]")
        case None | "":
            yield path
