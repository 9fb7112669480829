"""A model of a busy machine begins its reply in time, or fails."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.speech.embedded.punctual import PunctualChatModel
from services.speech.ports.chat import ChatItem, ChatMessage, ChatRequest, Role
from services.speech.ports.errors import ProviderError
from services.speech.ports.stages import Stage
from tests.support.scripted_providers import ScriptedChat
from tests.support.virtual_time import in_virtual_time

ASKED = (ChatMessage(role=Role.USER, content="When?"),)


class Halting:
    """Pauses before each word."""

    name = "halting"

    def __init__(self, *pauses_s: float) -> None:
        self._pauses_s = pauses_s

    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatItem]:
        for pause_s in self._pauses_s:
            await asyncio.sleep(pause_s)
            yield "word"


@in_virtual_time
async def test_a_reply_that_does_not_begin_fails() -> None:
    busy = ScriptedChat(name="busy", first_s=31)
    with pytest.raises(ProviderError, match="no word in 30 s") as caught:
        async for _ in PunctualChatModel(busy, first_byte_s=30).stream(
            ChatRequest(messages=tuple(ASKED))
        ):
            pass
    assert asyncio.get_running_loop().time() == pytest.approx(30)
    assert (caught.value.stage, caught.value.provider) == (Stage.CHAT, "busy")
    assert caught.value.transient
    assert busy.closed == 1


@in_virtual_time
async def test_a_reply_that_has_begun_takes_its_time() -> None:
    model = PunctualChatModel(Halting(29, 60, 60), first_byte_s=30)
    assert [delta async for delta in model.stream(ChatRequest(messages=tuple(ASKED)))] == [
        "word"
    ] * 3
