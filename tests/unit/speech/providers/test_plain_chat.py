"""No marker in any vendor's text is spoken, wherever the stream is cut."""

from collections.abc import AsyncIterator

import pytest

from services.speech.ports.chat import ChatItem, ChatRequest, ChatUsage, ToolCall
from services.speech.ports.errors import ProviderMuteError
from services.speech.providers.plain_chat import PlainChatModel, with_characters

REPLIES = [
    ("We open at nine.<|im_end|>", "We open at nine."),
    ("<think>They ask for the hours.</think>We open at nine.", "We open at nine."),
    ("We open at nine.<|eot_id|>user: and on Sunday?", "We open at nine."),
    ("<|im_start|>assistant\nWe open at nine.<|im_end|>\n<|im_start|>user", "We open at nine."),
    ('We look. <tool_call>{"name": "find", "arguments": {}}</tool_call>', "We look. "),
    ('Let me see. {"name": "find", "arguments": {"city": "Oslo"}}', "Let me see. "),
    ('One moment.\n```json\n{ "tool" : "find",\n "parameters": {}}\n```', "One moment.\n"),
    ('[{"name": "Ada", "age": 3}] is JSON.', '[{"name": "Ada", "age": 3}] is JSON.'),
    ("<|channel|>analysis<|message|>Hours.<|end|><|start|>assistant<|channel|>final<|message|>Nine.",
     "Nine."),
    ("我们九点开门。<｜end▁of▁sentence｜>", "我们九点开门。"),
    ("<thinking>用户问时间</thinking>我们九点开门。", "我们九点开门。"),
    ("Okay, the user is always right: 3 < 5 and [see] <b>it</b>.",
     "Okay, the user is always right: 3 < 5 and [see] <b>it</b>."),
]  # fmt: skip


USED = ChatUsage(input_tokens=9, cached_tokens=0, output_tokens=5)


class ScriptedModel:
    """Writes one text, in pieces of a size."""

    name = "scripted"

    def __init__(self, text: str, size: int) -> None:
        self._pieces = [text[at : at + size] for at in range(0, len(text), size)]

    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatItem]:
        """Yield the pieces, and what they used."""
        for piece in self._pieces:
            yield piece
        yield USED


async def reply(text: str, size: int) -> str:
    """Return what is left of a text that comes in pieces."""
    model = PlainChatModel(ScriptedModel(text, size))
    items = [item async for item in model.stream(ChatRequest(messages=()))]
    return "".join(item for item in items if isinstance(item, str))


@pytest.mark.parametrize("size", [1, 2, 5, 1_000])
@pytest.mark.parametrize(("written", "said"), REPLIES)
async def test_only_the_reply_is_left(written: str, said: str, size: int) -> None:
    assert await reply(written, size) == said


@pytest.mark.parametrize(
    "text", ["<think>Hours.</think>", "<|im_end|>", "<tool_call>{}</tool_call>"]
)
async def test_a_text_of_markers_alone_is_no_reply(text: str) -> None:
    with pytest.raises(ProviderMuteError):
        await reply(text, 3)


@pytest.mark.parametrize("size", [1, 2, 3, 1_000])
@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Nine \ud83d\ude00 to six.", "Nine 😀 to six."),
        ("Yes \ud83d\ude00\ud83d\ude01", "Yes 😀😁"),
        ("Nine \ud83d to six.", "Nine  to six."),
        ("Nine \ude00\ud83d to six.\ud83d", "Nine  to six."),
        ("\ufeffNi\0ne\x1b \ufffd\ufffdto\x85 six.\x7f\uffff", "Nine to six."),
        ("九点\0到\ud867\udf90\ufffd。", "九点到𩾐。"),
        ("Nine\tto\r\nsix 👩\u200d🚀, می\u200cروم", "Nine\tto\r\nsix 👩\u200d🚀, می\u200cروم"),
    ],
)
async def test_every_character_can_be_read(written: str, said: str, size: int) -> None:
    heard = await reply(written, size)
    assert heard == said
    heard.encode()


async def test_what_a_reply_used_is_kept_behind_the_marker_that_ends_it() -> None:
    model = PlainChatModel(ScriptedModel("Nine.<|im_end|>", 5))
    items = [item async for item in model.stream(ChatRequest(messages=()))]
    assert items[-1] == USED


async def test_what_a_tool_is_asked_can_be_read() -> None:
    async def items() -> AsyncIterator[ChatItem]:
        yield ToolCall(call_id="1", name="find", arguments='{"q": "\ud83d\ude00 \ud83d"}')

    [call] = [item async for item in with_characters(items())]
    assert call == ToolCall(call_id="1", name="find", arguments='{"q": "😀 "}')
