"""Numbers of written sentences come back by ear: some of those that the bench says all of."""

import random

import pytest

from tests.support.embedded import EmbeddedStack
from tests.support.spoken import hear, sentences

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

SEED = 42
SAMPLE = 3


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_numbers_come_back(stack: EmbeddedStack, language: str) -> None:
    written = [each for each in sentences() if each.language == language]
    chosen = random.Random(SEED).sample(written, SAMPLE)
    heard = [await hear(each, stack.synthesizer, stack.recognizer) for each in chosen]
    assert [each for each in heard if not each.came_back] == []
