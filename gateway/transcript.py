"""A conversation as plain text, for people."""

from collections.abc import Sequence

from gateway.models import Turn

USER = "User"
DIGITAL_HUMAN = "Digital human"


def to_text(turns: Sequence[Turn]) -> str:
    """Return what was said and heard, one line each; an interrupted reply ends with a dash."""
    lines = [line for turn in turns for line in _lines(turn)]
    return "".join(f"{line}\n" for line in lines)


def _lines(turn: Turn) -> list[str]:
    lines = []
    if turn.transcript:
        lines.append(f"{_stamp(turn)}{USER}: {turn.transcript}")
    if turn.heard:
        cut = " —" if turn.interrupted else ""
        lines.append(f"{_stamp(turn)}{DIGITAL_HUMAN}: {turn.heard}{cut}")
    if turn.failure:
        lines.append(f"{_stamp(turn)}({turn.failure.message})")
    return lines


def _stamp(turn: Turn) -> str:
    return f"[{turn.start_time}] " if turn.start_time else ""
