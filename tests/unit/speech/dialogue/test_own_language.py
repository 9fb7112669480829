"""A question in Chinese is answered in Chinese, or not at all."""

from collections.abc import AsyncIterator

import pytest

from services.speech.dialogue.own_language import in_own_language

DECLINED = "这个我不知道。"


async def said(reply: str, user_text: str, language_code: str, size: int) -> str:
    """Return what is left of a reply that is written in pieces."""

    async def stream() -> AsyncIterator[str]:
        for at in range(0, len(reply), size):
            yield reply[at : at + size]

    kept = in_own_language(stream(), user_text, language_code, decline=lambda: DECLINED)
    return "".join([each async for each in kept])


@pytest.mark.parametrize("size", [1, 5, 100])
@pytest.mark.parametrize(
    ("reply", "user_text", "language_code", "left"),
    [
        ("The museum closes at six.", "你们几点开门？", "zh-CN", DECLINED),
        ("The museum closes", "你们几点开门？", "zh-CN", DECLINED),
        ("Harbor Place 九点开门。", "你们几点开门？", "zh-CN", "Harbor Place 九点开门。"),
        ("OK.", "好吗？", "zh", "OK."),
        ("Good morning to you.", "早上好用英语怎么说？", "zh", "Good morning to you."),
        ("The museum closes at six.", "When do you close?", "en-GB", "The museum closes at six."),
        ("", "好吗？", "zh", ""),
    ],
)
async def test_a_reply_in_another_language_is_declined(
    reply: str, user_text: str, language_code: str, left: str, size: int
) -> None:
    assert await said(reply, user_text, language_code, size) == left
