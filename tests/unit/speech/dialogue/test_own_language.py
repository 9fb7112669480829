"""A question in Chinese is not answered in English, and names and addresses are no English."""

from collections.abc import AsyncIterator

import pytest

from services.speech.dialogue.own_language import is_answered_in_chinese, without_english

DECLINED = "这个我不知道。"


async def pieces(reply: str, size: int) -> list[str]:
    """Return the deltas that are left of a reply that is written in pieces."""

    async def stream() -> AsyncIterator[str]:
        for at in range(0, len(reply), size):
            yield reply[at : at + size]

    return [each async for each in without_english(stream(), decline=lambda: DECLINED)]


@pytest.mark.parametrize(
    ("reply", "is_english"),
    [
        ("We are open and you can come in.", True),
        ("We are open and you can come", True),
        ("I am sorry, but I do not know that. 您可以问前台。", True),
        ("OK. You can find it in the hall, if you have time.", False),
        ("Harbor Place 九点开门。", False),
        ("Harbor Place, as it is called now: 九点开门。", False),
        ("OK.", False),
        ("", False),
        ("https://example.com/this/is/our-page?you=can", False),
        ("this.is.it@example.com", False),
        ("correct-horse-battery-staple", False),
        ("Louis Vuitton, Dior Homme. ", False),
        ("Earth, Wind & Fire. ", False),
        ("The Lord of the Rings.", False),
        ("Gone with the Wind", False),
        ("Where the Wild Things Are. It Is That.", False),
        ("Où est la gare, s'il vous plaît ?", False),
        ("12 Harbour Street, Dublin 2. ", False),
    ],
)
async def test_english_prose_is_declined_and_nothing_else(reply: str, is_english: bool) -> None:
    for size in range(1, len(reply) + 2):
        assert "".join(await pieces(reply, size)) == (DECLINED if is_english else reply)


async def test_while_the_first_sentence_is_held_an_empty_delta_says_that_it_has_begun() -> None:
    assert await pieces("OK, fine. 好。再见。", 5) == ["", "OK, fine. ", "好。再见。"]


@pytest.mark.parametrize(
    ("question", "language_code", "is_chinese"),
    [
        ("你们几点开门？", "zh-CN", True),
        ("WiFi 密码是什么？", "zh", True),
        ("我想问\nWiFi?", "zh", True),
        ("When do you close?", "zh", False),
        ("你们几点开门？", "en-GB", False),
        ("早上好用英语怎么说？", "zh", False),
        ("法语谢谢怎么说", "zh", False),
        ("用日文写一遍", "zh", False),
        ("Please say it in English. 好吗", "zh", False),
        ("帮我翻译一下这句", "zh", False),
    ],
)
def test_who_asks_in_chinese_and_names_no_language_wants_a_chinese_answer(
    question: str, language_code: str, is_chinese: bool
) -> None:
    assert is_answered_in_chinese(question, language_code) is is_chinese
