"""With the real models, each question of a call in two languages is answered in its own."""

import pytest

from bench.two_languages import QUESTIONS, held
from tests.models.test_honesty import Liar
from tests.support.embedded import EmbeddedStack

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(900)]


async def test_a_question_is_answered_in_its_language(stack: EmbeddedStack) -> None:
    answered = [each async for each in held(stack, Liar(), QUESTIONS[:3])]
    assert [each for each in answered if not each.is_right] == []
