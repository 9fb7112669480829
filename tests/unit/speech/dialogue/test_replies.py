"""Curated answers are spoken as written; otherwise the model gets facts and the history."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator

import pytest

from services.speech.dialogue.curated import relevant_facts
from services.speech.dialogue.knowledge import Knowledge
from services.speech.dialogue.replies import HISTORY_CHARACTERS, Dialogue, Exchange, History, prompt
from services.speech.personas.format import Grounding
from services.speech.ports.chat import ChatMessage, ChatModel, Role
from services.speech.tools.calls import Calls, ReplyCalls
from tests.support.scripted_personas import scripted_personas
from tests.support.scripted_providers import LetterEmbedder, ScriptedChat
from tests.support.virtual_time import in_virtual_time

PERSONAS = scripted_personas()
HOST = PERSONAS.get("host")
ENGLISH = HOST.speaking("en")


async def reply(chat: ChatModel | None, question: str) -> str:
    """Return what the host replies."""
    dialogue = await Dialogue.prepare(PERSONAS, chat=chat, embedder=LetterEmbedder())
    deltas = dialogue.reply(
        question, persona=HOST, language=ENGLISH, history=History(), calls=ReplyCalls(Calls())
    )
    return "".join([delta async for delta in deltas])


@in_virtual_time
async def test_a_matching_question_gets_the_curated_answer() -> None:
    chat = ScriptedChat()
    assert await reply(chat, "When do you open?") == "We open at nine."
    assert chat.prompts == []


@in_virtual_time
async def test_any_other_question_goes_to_the_model() -> None:
    chat = ScriptedChat(deltas=("Well, ", "yes."))
    assert await reply(chat, "xyz") == "Well, yes."
    [messages] = chat.prompts
    assert messages[0] == ChatMessage(role=Role.SYSTEM, content=ENGLISH.prompt)
    assert messages[-1].content.endswith("xyz")


@in_virtual_time
async def test_without_a_model_the_persona_suggests_a_question() -> None:
    assert "When do you open?" in await reply(None, "xyz")


def test_facts_go_with_the_question_and_the_beginning_stays_the_same() -> None:
    history = History((Exchange(user_text="Hi", heard_text="Hello"),))
    plain = prompt("Why?", language=ENGLISH, facts=(), history=history)
    informed = prompt("Why?", language=ENGLISH, facts=ENGLISH.knowledge, history=history)
    assert plain[:-1] == informed[:-1]
    assert [each.role for each in plain] == [
        Role.SYSTEM,
        Role.USER,
        Role.ASSISTANT,
        Role.USER,
    ]
    assert "We open at nine." in informed[-1].content
    assert informed[-1].content.endswith("Why?")


def test_the_roles_alternate_even_when_nothing_was_heard() -> None:
    history = History(
        (
            Exchange(user_text="", heard_text="Attention please."),
            Exchange(user_text="One", heard_text=""),
            Exchange(user_text="Two", heard_text="So"),
            Exchange(user_text="", heard_text="Attention again."),
        )
    )
    assert history.messages() == [
        ChatMessage(role=Role.ASSISTANT, content="Attention please."),
        ChatMessage(role=Role.USER, content="One\nTwo"),
        ChatMessage(role=Role.ASSISTANT, content="So\nAttention again."),
    ]


_PASTS = {
    "nothing": (),
    "a greeting": (Exchange(user_text="", heard_text="Welcome."),),
    "a greeting that nobody heard": (Exchange(user_text="", heard_text=""),),
    "two lines": (
        Exchange(user_text="", heard_text="Welcome."),
        Exchange(user_text="", heard_text="Are you still there?"),
    ),
    "a question without a reply": (Exchange(user_text="One", heard_text=""),),
    "a blank reply": (Exchange(user_text="One", heard_text=" \n"),),
    "questions in a row after a greeting": (
        Exchange(user_text="", heard_text="Welcome."),
        Exchange(user_text="One", heard_text=""),
        Exchange(user_text="Two", heard_text=""),
    ),
    "a reminder between": (
        Exchange(user_text="One", heard_text="So"),
        Exchange(user_text="", heard_text="Are you still there?"),
    ),
    "a dropped beginning": (
        *(Exchange(user_text=f"question {index}", heard_text="Yes.") for index in range(9)),
        *(Exchange(user_text="", heard_text=f"News {index}.") for index in range(8)),
    ),
    "an overlong beginning": (
        Exchange(user_text="One", heard_text="x" * HISTORY_CHARACTERS),
        Exchange(user_text="", heard_text="Are you still there?"),
    ),
}


@pytest.mark.parametrize("language_code", ["en", "zh"])
@pytest.mark.parametrize("past", _PASTS.values(), ids=_PASTS)
def test_the_user_begins_and_the_sides_alternate(
    past: tuple[Exchange, ...], language_code: str
) -> None:
    language = HOST.speaking(language_code)
    for facts in ((), ENGLISH.knowledge):
        messages = prompt("Why?", language=language, facts=facts, history=History(past))
        roles = [each.role for each in messages]
        turns = [Role.USER, Role.ASSISTANT] * len(roles)
        assert roles == [Role.SYSTEM, *turns[: len(roles) - 1]]
        assert roles[-1] is Role.USER
        assert all(each.content.strip() for each in messages)
        content = "\n".join(each.content for each in messages)
        assert past == () or past[-1].heard_text.strip() in content


def test_the_history_is_bounded() -> None:
    history = History()
    for index in range(100):
        history.add(Exchange(user_text=f"question {index}", heard_text="answer"))
    assert len(history.messages()) == 16
    assert history.messages()[-2].content == "question 99"
    history.add(Exchange(user_text="long", heard_text="x" * (2 * HISTORY_CHARACTERS)))
    assert [each.content[:4] for each in history.messages()] == ["long", "xxxx"]


@in_virtual_time
async def test_facts_that_do_not_fit_are_left_out() -> None:
    knowledge = await Knowledge.index(ENGLISH.knowledge, LetterEmbedder())
    assert relevant_facts(await knowledge.find("zzz")) == ()
    assert await (await Knowledge.index((), LetterEmbedder())).find("zzz") == ()


STRICT = dataclasses.replace(HOST, grounding=Grounding.STRICT)


async def strict_deltas(
    chat: ChatModel, question: str, history: History | None = None
) -> AsyncIterator[str]:
    """Return the host's reply under strict grounding, as it is written."""
    language = dataclasses.replace(ENGLISH, unknown="I cannot say.", identity="I am software.")
    dialogue = await Dialogue.prepare(PERSONAS, chat=chat, embedder=LetterEmbedder())
    return dialogue.reply(
        question,
        persona=STRICT,
        language=language,
        history=history or History(),
        calls=ReplyCalls(Calls()),
    )


async def strict_reply(chat: ChatModel, question: str, history: History | None = None) -> str:
    """Return what the host replies under strict grounding."""
    deltas = await strict_deltas(chat, question, history)
    return "".join([delta async for delta in deltas])


@in_virtual_time
async def test_a_model_that_writes_is_told_of_before_its_words_are_checked() -> None:
    gate = asyncio.Event()
    chat = ScriptedChat(deltas=("Nice to ", "meet you."), gate=gate)
    deltas = await strict_deltas(chat, "Let us talk")
    assert await anext(deltas) == ""
    gate.set()
    assert [each async for each in deltas] == ["Nice to meet you."]


@in_virtual_time
async def test_an_unsupported_part_is_replaced_and_the_model_is_closed() -> None:
    chat = ScriptedChat(deltas=("Nice to ", "meet you. ", "The pool costs ", "$9. ", "Bye", "."))
    assert await strict_reply(chat, "Let us talk") == "Nice to meet you."
    assert chat.closed == 1
    chat = ScriptedChat(deltas=("We have ", "nine pools. ", "Come in", "."))
    assert await strict_reply(chat, "Is all well with open doors?") == "I cannot say."


@in_virtual_time
async def test_questions_that_only_facts_could_answer_do_not_reach_the_model() -> None:
    chat = ScriptedChat()
    for question in ("What time is it?", "How much is a boat?", "Who is your boss?"):
        assert await strict_reply(chat, question) == "I cannot say."
    assert chat.prompts == []


@in_virtual_time
async def test_what_the_user_said_may_be_repeated() -> None:
    history = History((Exchange(user_text="My name is Tom.", heard_text="Hello!"),))
    chat = ScriptedChat(deltas=("Your name is Tom", "."))
    assert await strict_reply(chat, "What is my name?", history) == "Your name is Tom."
    assert await strict_reply(chat, "What is my name?") == "I cannot say."
    chat = ScriptedChat(deltas=("Your name is ", "surely Bob", "."))
    assert await strict_reply(chat, "What is my name?", history) == "I cannot say."


@in_virtual_time
async def test_no_persona_claims_to_be_human() -> None:
    chat = ScriptedChat(deltas=("I am a real person", "."))
    assert await strict_reply(chat, "Are you a human?") == "I am software."
    assert await strict_reply(chat, "Let us talk about you") == "I cannot say."


@in_virtual_time
async def test_a_chinese_question_gets_no_english_answer() -> None:
    chinese = dataclasses.replace(HOST.speaking("zh"), unknown="这个我不知道。")
    gate = asyncio.Event()
    chat = ScriptedChat(deltas=("Well, you ", "are welcome. Bye."), gate=gate)
    dialogue = await Dialogue.prepare(PERSONAS, chat=chat, embedder=LetterEmbedder())
    deltas = dialogue.reply(
        "谢谢你。", persona=STRICT, language=chinese, history=History(), calls=ReplyCalls(Calls())
    )
    assert await anext(deltas) == ""
    gate.set()
    assert "".join([delta async for delta in deltas]) == "这个我不知道。"
    assert chat.closed == 1
