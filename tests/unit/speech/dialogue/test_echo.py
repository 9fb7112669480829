"""A reply in which the model recites its prompt ends before that."""

from collections.abc import AsyncIterator, Iterable, Iterator

import pytest

from services.speech.dialogue.echo import without_echo

LINES = ("Facts that may help:", "- When do you open?")
DECLINED = "I do not know."


async def said(deltas: Iterable[str]) -> list[str]:
    """Return what is left of a reply."""

    async def stream() -> AsyncIterator[str]:
        for delta in deltas:
            yield delta

    kept = without_echo(stream(), LINES, decline=lambda: DECLINED)
    return [each async for each in kept if each]


def pieces(text: str, size: int) -> Iterator[str]:
    """Divide a text as a model might."""
    return (text[at : at + size] for at in range(0, len(text), size))


@pytest.mark.parametrize("size", [1, 3, 100])
@pytest.mark.parametrize(
    ("reply", "left"),
    [
        ("We open at nine.", "We open at nine."),
        ("Facts that may help:\n- When do you open? At nine.", DECLINED),
        ("\nFacts that may help: more", f"\n{DECLINED}"),
        ("We open at nine. Facts that may help: more", "We open at nine. "),
        ("At nine.\n- When do you open? At nine.", "At nine.\n"),
        ("Facts that may matter are few.", "Facts that may matter are few."),
        ("Nine - When", "Nine - When"),
        ("", ""),
    ],
)
async def test_a_recited_prompt_is_not_said(reply: str, left: str, size: int) -> None:
    assert "".join(await said(pieces(reply, size))) == left


async def test_nothing_is_held_that_cannot_become_a_line() -> None:
    assert (await said(["We open ", "at nine."])) == ["We open ", "at nine."]


async def test_the_model_is_not_read_on() -> None:
    def deltas() -> Iterator[str]:
        yield "Facts that may help:"
        raise AssertionError("read on")

    assert await said(deltas()) == [DECLINED]
