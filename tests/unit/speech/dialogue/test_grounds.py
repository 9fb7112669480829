"""A claim that neither facts nor the dialogue support is not said."""

from collections.abc import AsyncIterator, Sequence

import pytest

from services.speech.dialogue.grounded import grounded
from services.speech.dialogue.grounds import Grounds, Ungrounded
from services.speech.dialogue.lexicon import is_chinese
from services.speech.dialogue.question import Question
from services.speech.personas.format import Grounding
from services.speech.streams import once
from tests.support.virtual_time import in_virtual_time

FACTS = (
    "How much is a boat trip?\nA boat trip costs nine dollars, four for students.",
    "When does the library open?\nThe library opens at ten and closes at six, but not on Monday.",
    "Where is the garden?\nThe garden is on the second floor, behind the blue door.",
    "You are Nora, the host of Lake House.",
)
FACTS_ZH = (
    "坐船多少钱？\n坐船每人三十元，学生半价。",
    "图书馆几点开门？\n图书馆上午十点开门，星期一休息。",
    "你是诺拉，湖畔之家的接待。",
)


def grounds(question: str, grounding: Grounding = Grounding.STRICT, **more: object) -> Grounds:
    facts = FACTS_ZH if is_chinese(question) else FACTS
    settings = {"grounding": grounding, "facts": facts, "user_texts": (), "heard_texts": (), **more}
    return Grounds(question=Question.parse(question), **settings)  # type: ignore[arg-type]


SAID = [
    ("How much is a boat trip?", "A boat trip is $9.", None),
    ("How much is a boat trip?", "It is nine dollars, and students pay four dollars.", None),
    ("How much is a boat trip?", "A boat trip is twelve dollars.", Ungrounded.NUMBER),
    ("How much is a boat trip?", "A boat trip is nine euros.", Ungrounded.NUMBER),
    ("How much is the library?", "The library costs nine dollars.", Ungrounded.NUMBER),
    ("When can I read?", "The library opens at 10.", None),
    ("When can I read?", "The library opens at eight.", Ungrounded.NUMBER),
    ("Is it open on Monday?", "Yes, the library is open on Monday.", Ungrounded.FACT),
    ("Is it open on Monday?", "No, the library is closed on Monday.", None),
    ("Is it open on Sunday?", "Yes, the library opens on Sunday at ten.", Ungrounded.NUMBER),
    ("When does it open?", "The library opens at ten, every day but Monday.", None),
    ("Where is the garden?", "The garden is on the second floor.", None),
    ("Where is the garden?", "The garden is on the third floor.", Ungrounded.NUMBER),
    ("Where is the garden?", "Ask Bob Miller about it.", Ungrounded.NAME),
    ("Do you sell stamps?", "Yes, we sell stamps.", Ungrounded.FACT),
    ("Do you sell stamps?", "Yes.", Ungrounded.FACT),
    ("Is there a library boat?", "Yes, there is a library boat.", Ungrounded.FACT),
    ("有图书馆坐船吗？", "是的，我们有图书馆坐船。", Ungrounded.FACT),
    ("Do you sell stamps?", "I do not know whether we sell stamps.", None),
    ("May dogs swim?", "Dogs may swim in the lake.", Ungrounded.FACT),
    ("Who is the director?", "It is Peter.", Ungrounded.NAME),
    ("Say it costs 1 dollar.", "It costs one dollar.", Ungrounded.NUMBER),
    ("Good morning!", "Good morning! How are you?", None),
    ("Good morning!", "I am Nora, welcome to Lake House!", None),
    ("Good morning!", "We have a new pool!", Ungrounded.FACT),
    ("I am sad.", "Take two deep breaths with me.", None),
    ("I am sad.", "In 1987 I was sad too.", Ungrounded.NUMBER),
    ("Who are you?", "I am a real person, of course.", Ungrounded.IDENTITY),
    ("Who are you?", "I'm not a robot.", Ungrounded.IDENTITY),
    ("What is 6 times 7?", "Six times seven is forty-two.", None),
    ("What is 6 times 7?", "It is 42.", None),
    ("What is 6 times 7?", "Six times seven is forty-nine.", Ungrounded.SUM),
    ("What is 6 times 7?", "It is 49.", Ungrounded.SUM),
    ("What is 6 times 7?", "That is 6.", Ungrounded.SUM),
    ("What is 6 times 7?", "You get ten times four dollars.", Ungrounded.NUMBER),
    ("What is 1/4 plus a half of it?", "Three ninths and two ninths.", Ungrounded.NUMBER),
    ("What is 1/4 plus a half of it?", "A quarter and two quarters make three quarters.", None),
    (
        "What is 1/4 plus a half of it?",
        "A quarter and two quarters make four quarters.",
        Ungrounded.SUM,
    ),
    ("What is 1/4 plus a half of it?", "It is 5/6.", Ungrounded.SUM),
    ("What is 20 percent of 50 cats?", "Multiply 50 by 0.2, it is 10.", None),
    ("What is 20 percent of 50 cats?", "It is 12.", Ungrounded.SUM),
    ("What is 10 divided by 3 cats?", "It is 3.33.", None),
    ("What is 10 divided by 3 cats?", "It is 3.", Ungrounded.SUM),
    ("三十只猫的一半，三十的一半是多少？", "三十的一半是十五。", None),
    ("三十只猫的一半，三十的一半是多少？", "是二十。", Ungrounded.SUM),
    ("How many floors are there?", "There are two floors.", Ungrounded.NUMBER),
    ("How long is it?", "It takes an hour.", Ungrounded.NUMBER),
    ("要多久？", "大约一个小时。", Ungrounded.NUMBER),
    ("坐船多少钱？", "坐船三十元一位。", None),
    ("坐船多少钱？", "坐船要五十元。", Ungrounded.NUMBER),
    ("坐船多少钱？", "坐船三十美元。", Ungrounded.NUMBER),
    ("图书馆几点开门？", "图书馆上午十点开门。", None),
    ("图书馆几点开门？", "图书馆上午八点开门。", Ungrounded.NUMBER),
    ("星期一图书馆开门吗？", "图书馆星期一休息。", None),
    ("星期一图书馆开门吗？", "是的，图书馆星期一开门。", Ungrounded.FACT),
    ("你们卖邮票吗？", "是的，我们卖邮票。", Ungrounded.FACT),
    ("你们卖邮票吗？", "这个我不清楚，可以问问同事。", None),
    ("馆长是谁？", "馆长是王建国。", Ungrounded.NAME),
    ("你好！", "你好，我是诺拉，很高兴见到你！", None),
    ("你是谁？", "我是真人。", Ungrounded.IDENTITY),
    ("七乘八是多少？", "七乘八等于五十六。", None),
    ("七乘八是多少？", "七乘八等于五十四。", Ungrounded.SUM),
]


@pytest.mark.parametrize(("question", "sentence", "ungrounded"), SAID)
def test_what_is_supported(question: str, sentence: str, ungrounded: Ungrounded | None) -> None:
    assert grounds(question).find_ungrounded(sentence) is ungrounded


def test_the_model_may_explain_where_only_names_and_numbers_count() -> None:
    tutor = grounds("Why does ice float?", Grounding.NAMES_AND_NUMBERS)
    assert tutor.find_ungrounded("Ice is lighter than water, so it floats.") is None
    assert tutor.find_ungrounded("It was found out in 1720.") is Ungrounded.NUMBER
    assert tutor.find_ungrounded("Professor Miller found it out.") is Ungrounded.NAME
    sum_ = grounds("What is 6 times 7?", Grounding.NAMES_AND_NUMBERS)
    assert sum_.find_ungrounded("There are six groups of seven.") is None
    assert sum_.find_ungrounded("There are nine groups of four.") is Ungrounded.NUMBER


def test_what_was_said_before_supports_a_claim() -> None:
    said = grounds("What did I tell you?", user_texts=("I am Tom and I have 14 cats.",))
    assert said.find_ungrounded("You are Tom.") is None
    assert said.find_ungrounded("You have fourteen cats.") is None
    assert said.find_ungrounded("You have fifteen cats.") is Ungrounded.NUMBER
    replied = grounds("How much was it?", heard_texts=("The lamp costs 77 dollars.",))
    assert replied.find_ungrounded("The lamp costs $77.") is None


async def passed(
    text: str, question: str, size: int = 4, grounding: Grounding = Grounding.STRICT
) -> tuple[str, Sequence[str]]:
    """Return the part of a reply that passes, and the deltas that were read."""
    read: list[str] = []

    async def deltas() -> AsyncIterator[str]:
        for start in range(0, len(text), size):
            read.append(text[start : start + size])
            yield read[-1]

    parts = grounded(
        deltas(),
        lambda: grounds(question, grounding),
        decline=lambda cause: f"<{cause}>",
    )
    return "".join([part async for part in parts]), read


@in_virtual_time
async def test_a_supported_reply_passes_unchanged() -> None:
    for text, question in (
        ("The library opens at ten. It closes at six.", "When can I read?"),
        ("Good morning! How are you? So nice to see you", "Good morning!"),
        ("坐船每人三十元，学生半价。", "坐船多少钱？"),
    ):
        for size in (1, 3, 100):
            assert (await passed(text, question, size))[0] == text


@in_virtual_time
async def test_the_rest_is_replaced_once_and_the_model_is_closed() -> None:
    reply, read = await passed("It was made by Bob. " * 20, "Why is there a garden?")
    assert reply == "<name>"
    assert len(read) < 20


@in_virtual_time
async def test_a_yes_is_not_released_before_its_claim() -> None:
    for lie in (
        "Yes, of course, we sell stamps.",
        "Yes. We sell stamps.",
        "Certainly! We do sell stamps.",
    ):
        assert (await passed(lie, "Do you sell stamps?"))[0] == "<fact>"
    assert (await passed("是的。我们卖邮票。", "你们卖邮票吗？"))[0] == "<fact>"


@in_virtual_time
async def test_nothing_is_added_to_a_complete_answer() -> None:
    reply, _ = await passed(
        "A boat trip is nine dollars. It lasts 77 hours.", "How much is a trip?"
    )
    assert reply == "A boat trip is nine dollars."
    reply, _ = await passed(
        "The garden is behind the door. It costs 77 dollars.", "How much is it?"
    )
    assert reply == "The garden is behind the door. <number>"


@in_virtual_time
@pytest.mark.parametrize(
    ("question", "reply", "price_list", "said"),
    [
        (
            "My mother is seventy. How much does she pay?",
            "Nine dollars. Shall I",
            "A boat trip is nine dollars, half for seniors.",
            "A boat trip is nine dollars, half for seniors.",
        ),
        (
            "我妈妈七十岁，要多少钱？",
            "三十元。",
            "坐船每人三十元，老人半价。",
            "坐船每人三十元，老人半价。",
        ),
        ("坐船多少钱？", "三十元，老人半价。", "坐船每人三十元，老人半价。", "三十元，老人半价。"),
        ("坐船多少钱？", "四十元。", "坐船每人三十元，老人半价。", "<number>"),
    ],
)
async def test_a_price_that_depends_is_given_with_the_others(
    question: str, reply: str, price_list: str, said: str
) -> None:
    parts = grounded(
        once(reply),
        lambda: grounds(question, facts=(price_list,), price_lists=(price_list,)),
        decline=lambda cause: f"<{cause}>",
    )
    assert "".join([part async for part in parts]) == said


@in_virtual_time
async def test_the_answer_to_a_factual_question_is_checked_by_whole_sentences() -> None:
    half_true = "A boat trip for all visitors is nine dollars, for 77 hours."
    assert (await passed(half_true, "How much is a boat trip?"))[0] == "<number>"


@in_virtual_time
@pytest.mark.parametrize("grounding", [Grounding.STRICT, Grounding.NAMES_AND_NUMBERS])
async def test_a_refusal_begins_a_sentence_of_its_own(grounding: Grounding) -> None:
    for text, question in (
        ("When you learn words, then repeat them after nine minutes and 77 hours.", "How often?"),
        ("The bells of the old church ring, as they say, for 77 years.", "Why do bells ring?"),
        ("背单词的时候，可以先每隔十分钟、再隔七十七天复习。", "单词隔多久复习一次？"),
    ):
        for size in (1, 4, 100):
            assert (await passed(text, question, size, grounding))[0] == "<number>"


@in_virtual_time
async def test_small_talk_that_cannot_continue_is_closed() -> None:
    for text, question, reply in (
        (
            "That sounds like a lovely day, and Bob Miller said so too.",
            "I had such a good time.",
            "That sounds like a lovely day, but let me stop there.",
        ),
        (
            "听起来真是很美好的一天，王建国也这么说。",
            "今天真开心！",
            "听起来真是很美好的一天，不过我先说到这里。",
        ),
    ):
        assert (await passed(text, question))[0] == reply
    whole = "That sounds like a lovely day. Bob Miller said so too."
    assert (await passed(whole, "I had such a good time."))[0] == "That sounds like a lovely day."
