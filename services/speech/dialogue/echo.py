"""Ends a reply in which the model recites its prompt instead of answering."""

from collections.abc import AsyncIterator, Callable, Sequence

import structlog

from services.speech.streams import closing

log = structlog.get_logger(__name__)


async def without_echo(
    deltas: AsyncIterator[str], prompt_lines: Sequence[str], *, decline: Callable[[], str]
) -> AsyncIterator[str]:
    """Yield a reply up to the first line of the prompt in it; `decline`'s words if nothing is left.

    What may become such a line is held until it is clear; an empty delta says that something is.
    The model is cancelled at the first.
    """
    held, said = "", ""
    async with closing(deltas):
        async for delta in deltas:
            held += delta
            found = [at for line in prompt_lines if (at := held.find(line)) >= 0]
            end = min(found, default=len(held) - _open(held, prompt_lines))
            ready = held[:end]
            yield ready
            said, held = said + ready, held[end:]
            if found:
                log.warning("reply recited the prompt")
                if not said.strip():
                    yield decline()
                return
    if held:
        yield held


def _open(text: str, lines: Sequence[str]) -> int:
    """Return how many characters at the end of a text may be the beginning of a line."""
    longest = min(len(text), max(map(len, lines), default=0))
    return next(
        (
            size
            for size in range(longest, 0, -1)
            if any(line.startswith(text[-size:]) for line in lines)
        ),
        0,
    )
