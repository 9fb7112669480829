"""Turns with a vendor's language model: what it is sent, and what of its answer is said."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from services.speech.streams import Deadlines
from services.speech.vendors.http.client import Endpoint
from services.speech.vendors.openai_chat import OpenAiChatModel
from tests.support.converse import INTERRUPT, Talk, say, setup, text
from tests.support.speech_rig import Script, SpeechRig, speech_rig
from tests.support.vendor import Answer, Vendor, scripted_vendor
from tests.support.vendor_answers import JSON, MARKED, REPLY, SSE, deltas, letters


@asynccontextmanager
async def strict_vendor(reply: str) -> AsyncIterator[tuple[Vendor, SpeechRig]]:
    """A vendor with a template as several open models have it, and a speech service with it.

    It refuses what does not begin with the user after the system, and alternate.
    """

    async def behave(answer: Answer) -> None:
        roles = [each["role"] for each in prompts(vendor)[-1]]
        expected = ["system", *["user", "assistant"] * len(roles)][: len(roles)]
        if roles != expected or roles[-1] != "user":
            await answer.whole(400, JSON, b'{"error": "roles must alternate user/assistant"}')
        else:
            await answer.whole(200, SSE, deltas(*letters(reply)))

    async with scripted_vendor(behave) as vendor:
        endpoint = Endpoint(
            name="openai",
            base_url=vendor.base_url,
            api_key=None,
            model="some-model",
            deadlines=Deadlines(first_s=30, next_s=30, total_s=60),
        )
        async with (
            OpenAiChatModel.open(endpoint) as model,
            speech_rig(Script(provider=model)) as rig,
        ):
            yield vendor, rig


def prompts(vendor: Vendor) -> list[list[dict[str, str]]]:
    """Return the messages of each request."""
    return [json.loads(each.body)["messages"] for each in vendor.requests]


@pytest.mark.parametrize("language_code", ["en", "zh"])
async def test_the_first_question_after_a_greeting_is_answered(language_code: str) -> None:
    async with (
        strict_vendor(REPLY) as (vendor, rig),
        Talk.open(rig, setup(language_code=language_code)) as talk,
    ):
        await talk.send(say("Welcome to the garden."))
        await talk.until("turn_finished")
        await talk.send(text("Why?"))
        await talk.until("turn_finished")
        assert talk.last("turn_finished").reply_text == REPLY
        await talk.send(say("Are you still there?"))
        await talk.until("turn_finished")
        await talk.send(text("Yes."))
        await talk.until("turn_finished")
        assert talk.last("turn_finished").reply_text == REPLY
        last = prompts(vendor)[-1]
        assert "Welcome to the garden." in last[2]["content"]
        assert last[-2]["content"] == f"{REPLY}\nAre you still there?"


async def test_questions_whose_replies_nobody_heard_are_put_together() -> None:
    async with strict_vendor(REPLY) as (vendor, rig), Talk.open(rig) as talk:
        rig.avatars.plays_s = 0.0
        for question in ("One?", "Two?"):
            await talk.send(text(question))
            await talk.until("sentence_started")
            await talk.send(INTERRUPT)
            await talk.until("turn_finished")
        rig.avatars.plays_s = None
        await talk.send(text("Three?"))
        await talk.until("turn_finished")
        assert talk.last("turn_finished").reply_text == REPLY
        assert [each["role"] for each in prompts(vendor)[-1]] == ["system", "user"]
        assert prompts(vendor)[-1][-1]["content"] == "One?\nTwo?\nThree?"


@pytest.mark.parametrize("name", ["think", "two channels", "the other side's turn"])
async def test_what_is_not_the_reply_is_neither_spoken_nor_shown_nor_remembered(name: str) -> None:
    async with strict_vendor(MARKED[name]) as (vendor, rig), Talk.open(rig) as talk:
        await talk.send(text("Why?"))
        await talk.until("turn_finished")
        told = [each for each in talk.events if each.HasField("reply_updated")]
        assert "".join(each.reply_updated.delta for each in told) == REPLY
        assert talk.last("turn_finished").reply_text == REPLY
        assert talk.last("turn_finished").heard_text == REPLY
        await talk.send(text("And?"))
        await talk.until("turn_finished")
        assert prompts(vendor)[-1][-2] == {"role": "assistant", "content": REPLY}
