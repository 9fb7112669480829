"""The embedded language model (the small one)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio

from services.speech.embedded.library import LanguageModel
from services.speech.embedded.llama import LlamaChatModel
from services.speech.embedded.store import ModelStore
from services.speech.embedded.worker import Worker
from services.speech.ports.chat import ChatMessage, ChatRequest, Role
from services.speech.ports.errors import ProviderError
from services.speech.providers.embedded import only_file
from tests.support.embedded import THREADS

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(900)]

SYSTEM = ChatMessage(
    role=Role.SYSTEM,
    content=(
        "You are Mia, the receptionist of a museum. Answer in one short sentence. "
        "The museum opens at nine and closes at six. Tickets cost twelve euros."
    ),
)
ENDLESS = ChatMessage(
    role=Role.USER, content="Write a Python function that sorts a list, with many comments."
)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def chat(store: ModelStore) -> AsyncIterator[LlamaChatModel]:
    assert LanguageModel.SMALL.model
    path = only_file(store, LanguageModel.SMALL.model)
    async with LlamaChatModel.load(path, threads=THREADS) as chat:
        yield chat


def user(content: str) -> ChatMessage:
    return ChatMessage(role=Role.USER, content=content)


async def reply(chat: LlamaChatModel, messages: Sequence[ChatMessage]) -> list[str]:
    return [delta async for delta in chat.stream(ChatRequest(messages=tuple(messages)))]


async def test_a_reply_is_grounded_and_comes_in_deltas(chat: LlamaChatModel) -> None:
    deltas = await reply(chat, [SYSTEM, user("How much is a ticket?")])
    assert len(deltas) > 3
    assert any(price in "".join(deltas).lower() for price in ("twelve", "12"))


async def test_chinese_comes_in_whole_characters(chat: LlamaChatModel) -> None:
    deltas = await reply(chat, [user("请用中文写一句话介绍北京，并加上一个表情符号🐼。")])
    text = "".join(deltas)
    assert any("\u4e00" <= character <= "\u9fff" for character in text)
    assert "\ufffd" not in text
    for delta in deltas:
        delta.encode()


async def test_a_long_reply_ends(chat: LlamaChatModel) -> None:
    assert 100 < len(await reply(chat, [ENDLESS])) <= 120


async def test_closing_the_stream_stops_the_model(
    chat: LlamaChatModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next reply begins when the model has stopped: it took few steps until then."""
    steps = 0
    progress = Worker.progress

    def counted(worker: Worker) -> None:
        nonlocal steps
        steps += 1
        progress(worker)

    monkeypatch.setattr(Worker, "progress", counted)
    for _ in range(2):
        async with contextlib.aclosing(chat.stream(ChatRequest(messages=(ENDLESS,)))) as stream:
            await anext(stream)
    # A whole reply has 120.
    assert 0 < steps < 100


async def test_a_reply_cancelled_in_the_queue_never_runs(chat: LlamaChatModel) -> None:
    running = chat.stream(ChatRequest(messages=tuple([ENDLESS])))
    await anext(running)
    waiting = asyncio.ensure_future(anext(chat.stream(ChatRequest(messages=tuple([ENDLESS])))))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await running.aclose()
    assert await reply(chat, [SYSTEM, user("Say yes.")])


async def test_replies_at_once_do_not_mix(chat: LlamaChatModel) -> None:
    replies = await asyncio.gather(
        reply(chat, [user("Repeat this word and nothing else: elephant")]),
        reply(chat, [user("Repeat this word and nothing else: banana")]),
    )
    first, second = ("".join(deltas).lower() for deltas in replies)
    assert "elephant" in first
    assert "banana" not in first
    assert "banana" in second
    assert "elephant" not in second


async def test_a_dialogue_too_long_loses_its_oldest_messages(chat: LlamaChatModel) -> None:
    tale = ChatMessage(role=Role.USER, content="The garden is green and quiet. " * 400)
    chatter = [tale, ChatMessage(role=Role.ASSISTANT, content="How nice!")]
    deltas = await reply(chat, [SYSTEM, *chatter, user("How much is a ticket?")])
    assert any(price in "".join(deltas).lower() for price in ("twelve", "12"))


async def test_one_message_too_long_is_refused(chat: LlamaChatModel) -> None:
    with pytest.raises(ProviderError, match="refused the dialogue") as caught:
        await reply(chat, [user("word " * 5000)])
    assert not caught.value.transient


async def test_a_system_prompt_too_long_is_refused(chat: LlamaChatModel) -> None:
    endless = ChatMessage(role=Role.SYSTEM, content="word " * 5000)
    with pytest.raises(ProviderError, match="refused the dialogue"):
        await reply(chat, [endless, user("Hello")])
