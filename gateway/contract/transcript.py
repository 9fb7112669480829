"""A conversation as plain text."""

from collections.abc import Callable, Sequence

from gateway.contract.turn_models import Turn

USER = "User"
SECONDS = len("2026-01-31T12:00:00")


def to_text(turns: Sequence[Turn], name_in: Callable[[str], str]) -> str:
    """Return what was said and heard, one line each; an interrupted reply ends with a dash.

    `name_in` returns the digital human's name in a language.
    """
    lines = [line for turn in turns for line in _lines(turn, name_in(turn.lang or ""))]
    return "".join(f"{line}\n" for line in lines)


def _lines(turn: Turn, name: str) -> list[str]:
    lines = []
    if turn.transcript:
        lines.append(f"{_stamp(turn)}{USER}: {turn.transcript}")
    if turn.heard:
        cut = " —" if turn.interrupted else ""
        lines.append(f"{_stamp(turn)}{name}: {turn.heard}{cut}")
    if turn.failure:
        lines.append(f"{_stamp(turn)}({turn.failure.message})")
    return lines


def _stamp(turn: Turn) -> str:
    return f"[{turn.start_time[:SECONDS].replace('T', ' ')} UTC] " if turn.start_time else ""
