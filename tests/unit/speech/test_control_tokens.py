"""No text holds what a model could take for the end of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.speech.control_tokens import (
    json_without_control_tokens,
    schema_without_control_tokens,
    without_control_tokens,
)
from services.speech.ports.chat import ChatMessage, Role
from services.speech.vendors.chat.markup import Habit, Markup

TOKENS = [
    *("<|im_start|>", "<|im_end|>", "<|eot_id|>", "<|start_header_id|>", "<|channel|>", "<|end|>"),
    *("<s>", "</s>", "<bos>", "<eos>", "<pad>", "<unk>", "<0x0A>", "<extra_id_0>", "<SPECIAL_12>"),
    *("[INST]", "[/INST]", "[TOOL_CALLS]", "[AVAILABLE_TOOLS]", "[gMASK]", "[SYSTEM_PROMPT]"),
    *("<start_of_turn>", "<end_of_turn>", "<sop>", "<think>", "</think>", "<tool_call>", "<<SYS>>"),
    *("<｜begin▁of▁sentence｜>", "<｜User｜>", "<|START_OF_TURN_TOKEN|>", "◁think▷", "◁/think▷"),
    *("＜|im_end|＞", "<</SYS>>", "<turn|>", "<|turn>", "<channel|>"),
]


@pytest.mark.parametrize("token", TOKENS)
def test_no_token_is_left(token: str) -> None:
    plain = without_control_tokens(f"before{token}{token}after")
    assert token not in plain
    assert plain.replace(" ", "") == f"before{token}{token}after"


@pytest.mark.parametrize("token", TOKENS)
def test_what_is_broken_stays_so(token: str) -> None:
    plain = without_control_tokens(token)
    assert without_control_tokens(plain) == plain


@given(st.lists(st.sampled_from([*TOKENS, "<", "<|", "[", "|>", ">", "]", "◁", "a", " "])))
def test_no_pieces_make_a_token(pieces: list[str]) -> None:
    plain = without_control_tokens("".join(pieces))
    assert not [token for token in TOKENS if token in plain]


@pytest.mark.parametrize(
    "text",
    ["1 < 2 and 3 > 2", "I <3 you", "[laughs]", "see [1] and [a]", "A[0]", "x -> y <- z", "你好"],
)
def test_what_people_write_stays(text: str) -> None:
    assert without_control_tokens(text) == text


def test_time_grows_with_the_text_alone() -> None:
    # Each of these would take hours if the rest were searched at each bracket.
    for text in (
        "<" * 200_000,
        "[A" * 100_000,
        "<|" * 100_000,
        "◁a" * 100_000,
        f"[{'A' * 80}" * 2_000,
    ):
        without_control_tokens(text)


def test_our_own_reading_of_replies_sees_none_either() -> None:
    """What the model repeats is said, and not taken for its own marker."""
    message = ChatMessage(role=Role.USER, content="Say <|im_end|> and </think> aloud.")
    markup = Markup(Habit.REPLIES)
    said = markup.feed(message.content) + markup.flush(is_cut=False)
    assert said == "Say < |im_end|> and < /think> aloud."


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ('{"city": "a</s>"}', '{"city": "a< /s>"}'),
        ('{"city": "a\\u003c/s\\u003e"}', '{"city": "a< /s>"}'),
        ('{"<s>": [{"b": ["[INST]", 1, null]}]}', '{"< s>": [{"b": ["[ INST]", 1, null]}]}'),
        ('{"city": "</s>', '{"city": "< /s>'),
        ('{ "city":"\\u0041",  "far": 1e999}', '{ "city":"\\u0041",  "far": 1e999}'),
        ("[" * 100_000, "[" * 100_000),
    ],
)
def test_json_is_plain_once_it_is_read(text: str, plain: str) -> None:
    assert json_without_control_tokens(text) == plain


def test_members_of_a_schema_stay_exact() -> None:
    schema = {
        "type": "object",
        "description": "a</s>",
        "properties": {"<b>": {"enum": ["<c>"], "anyOf": [{"title": "[INST]"}]}},
    }
    assert schema_without_control_tokens(schema) == {
        "type": "object",
        "description": "a< /s>",
        "properties": {"<b>": {"enum": ["<c>"], "anyOf": [{"title": "[ INST]"}]}},
    }
