"""The sizes of the picture."""

from enum import StrEnum


class Layout(StrEnum):
    """Width and height in pixels."""

    SQUARE = "512x512"
    LARGE = "720x720"
    TALL = "720x1280"

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        width, _, height = self.value.partition("x")
        return int(width), int(height)
