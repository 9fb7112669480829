"""The embedder and the turn-end model."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tests.support.embedded import EmbeddedStack

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(900)]

PASSAGES = (
    "The museum opens at nine and closes at six.",
    "A ticket costs twelve euros.",
    "Dogs must stay outside.",
    "停车场在博物馆后面，免费停车。",
)


@pytest.mark.parametrize(
    ("query", "best"),
    [
        ("How much do I have to pay?", 1),
        ("What are your opening hours?", 0),
        ("May I bring my puppy?", 2),
        ("我可以把车停在哪里？", 3),
    ],
)
async def test_the_likeliest_passage_answers_the_question(
    stack: EmbeddedStack, query: str, best: int
) -> None:
    passages = await stack.embedder.embed_passages(PASSAGES)
    vector = await stack.embedder.embed_query(query)
    assert passages.shape == (4, 384)
    assert vector.shape == (384,)
    np.testing.assert_allclose(np.linalg.norm(passages, axis=1), 1, atol=1e-3)
    assert int(np.argmax(passages @ vector)) == best


async def test_no_passages_make_no_vectors(stack: EmbeddedStack) -> None:
    assert (await stack.embedder.embed_passages([])).shape == (0, 384)


async def test_finished_sentences_are_told_from_cut_ones(
    stack: EmbeddedStack, recordings: Sequence[Any]
) -> None:
    """Recordings end in silence; most of them are complete, and cut in their middle are not."""
    complete = cut = 0
    spoken = [recording for recording in recordings if recording.language_code == "en"]
    for recording in spoken:
        complete += await stack.turn_end.completion_probability(recording.pcm) > 0.5
        middle = recording.pcm[: len(recording.pcm) // 4 * 2]
        cut += await stack.turn_end.completion_probability(middle) > 0.5
    assert complete >= 0.8 * len(spoken)
    assert cut <= 0.5 * len(spoken)


@pytest.mark.parametrize("length", [0, 2, 32_000, 2 * 16_000 * 20])
async def test_any_length_is_judged(stack: EmbeddedStack, length: int) -> None:
    assert 0 <= await stack.turn_end.completion_probability(bytes(length)) <= 1
