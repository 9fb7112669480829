"""The OpenAI-compatible adapter against a server that we did not write: llama.cpp's own."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager

import httpx
import pytest
import xllamacpp
from pydantic import SecretStr

from services.runtime.failures.reasons import Reason
from services.speech.embedded.library import LanguageModel
from services.speech.embedded.store import ModelStore
from services.speech.ports.chat import (
    ChatItem,
    ChatMessage,
    ChatRequest,
    ChatUsage,
    Role,
    Tool,
    ToolCall,
)
from services.speech.ports.errors import ProviderError
from services.speech.providers.embedded import only_file
from services.speech.providers.failures import provider_failure
from services.speech.streams import Deadlines, closing
from services.speech.vendors.http.client import Endpoint
from services.speech.vendors.openai_chat import OpenAiChatModel
from tests.support.embedded import THREADS

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(900)]

KEY = "sk-llama-7est-0f-an-adapter"
CONTEXT_TOKENS = 512
PATIENT = Deadlines(first_s=300, next_s=300, total_s=600)
ENDLESS = "Write a Python function that sorts a list, with many comments."
GREETING = "Reply with these two words: good morning"
HOURS = Tool(
    name="opening_hours",
    description="Tells when the museum opens on a day.",
    parameters={
        "type": "object",
        "properties": {"day": {"type": "string"}},
        "required": ["day"],
    },
)


@pytest.fixture(scope="module")
def address(store: ModelStore) -> Iterator[str]:
    """Where llama.cpp serves the small model to those who know the key."""
    assert LanguageModel.SMALL.model
    params = xllamacpp.CommonParams()
    params.model.path = str(only_file(store, LanguageModel.SMALL.model))
    params.n_ctx = CONTEXT_TOKENS
    params.n_parallel = 1
    params.warmup = False
    for pool in (params.cpuparams, params.cpuparams_batch):
        pool.n_threads = THREADS
        pool.poll = 0
    params.api_keys = [KEY]
    params.ui = False
    params.n_threads_http = 2
    params.verbosity = -1
    server = xllamacpp.Server(params)
    yield str(server.listening_address)
    del server


def served(
    address: str, *, key: str = KEY, max_tokens: int = 24
) -> AbstractAsyncContextManager[OpenAiChatModel]:
    endpoint = Endpoint(
        name="llama.cpp",
        base_url=f"{address}/v1",
        api_key=SecretStr(key),
        model="small",
        deadlines=PATIENT,
    )
    return OpenAiChatModel.open(endpoint, max_tokens=max_tokens, temperature=0)


def asked(content: str, *tools: Tool) -> ChatRequest:
    return ChatRequest(messages=(ChatMessage(role=Role.USER, content=content),), tools=tools)


async def items_of(stream: AsyncIterator[ChatItem]) -> list[ChatItem]:
    return [item async for item in stream]


async def tokens_when_idle(address: str) -> int:
    """Return how many tokens the server has read and written of its last dialogue."""
    headers = {"authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(base_url=address, headers=headers, timeout=None) as client:
        while True:
            [slot] = (await client.get("slots")).json()
            if not slot["is_processing"]:
                return int(slot["n_prompt_tokens"])
            await asyncio.sleep(0.05)


async def test_a_reply_comes_in_deltas_and_with_its_usage(address: str) -> None:
    async with served(address) as model:
        *deltas, usage = await items_of(model.stream(asked(GREETING)))
        *_, again = await items_of(model.stream(asked(GREETING)))
    assert len(deltas) >= 2
    assert "good morning" in "".join(map(str, deltas)).lower()
    assert isinstance(usage, ChatUsage)
    assert isinstance(again, ChatUsage)
    assert usage.input_tokens == again.input_tokens > again.cached_tokens > 0
    assert usage.output_tokens > 0


async def test_chinese_comes_in_whole_characters(address: str) -> None:
    async with served(address) as model:
        items = await items_of(model.stream(asked("用中文说：早上好，上海🐼")))
    text = "".join(item for item in items if isinstance(item, str))
    assert "早上好" in text
    assert "\ufffd" not in text


async def test_closing_the_stream_stops_the_model(address: str) -> None:
    async with served(address, max_tokens=CONTEXT_TOKENS // 2) as model:
        count = model.stream(asked(ENDLESS))
        async with closing(count) as deltas:
            await anext(deltas)
        assert await tokens_when_idle(address) < CONTEXT_TOKENS // 4


async def test_a_tool_is_called(address: str) -> None:
    """This model writes its calls into the text, and the server leaves them there."""
    async with served(address, max_tokens=80) as model:
        items = await items_of(model.stream(asked("When does the museum open on Monday?", HOURS)))
    [call] = [item for item in items if isinstance(item, ToolCall)]
    assert call.name == HOURS.name
    assert json.loads(call.arguments) == {"day": "Monday"}
    assert not any(isinstance(item, str) for item in items)


@pytest.mark.parametrize(
    ("key", "words", "said"),
    [("sk-another", 1, "Invalid API Key"), (KEY, CONTEXT_TOKENS, "exceeds the available context")],
)
async def test_a_refusal_is_a_mistake_of_the_settings(
    address: str, key: str, words: int, said: str
) -> None:
    async with served(address, key=key) as model:
        with pytest.raises(ProviderError) as caught:
            await items_of(model.stream(asked("word " * words)))
    assert said in caught.value.vendor_message
    assert provider_failure(caught.value).reason is Reason.PROVIDER_MISCONFIGURED
