"""What the ledger says was heard is what the engine played: replies cut off at several moments."""

import asyncio

import grpc
import httpx
import pytest

from services.runtime.callers.requests import Metadata
from tests.support.heard import CHINESE, ENGLISH
from tests.support.interruption import Caller, CutReply, synthesize, transcribe

MOMENTS_S = (0.9, 3.4)

pytestmark = pytest.mark.timeout(300)


async def test_a_cut_reply_was_heard_as_far_as_the_engine_played_it(
    http: httpx.AsyncClient,
    engine: httpx.AsyncClient,
    speech_channel: grpc.aio.Channel,
    token: Metadata,
    names: dict[str, str],
) -> None:
    async def cut_off(caller: Caller, index: int) -> list[CutReply]:
        reply = (ENGLISH, CHINESE)[index]
        return [await caller.cut(reply, after_s=moment_s) for moment_s in MOMENTS_S]

    name = names["streamId"]
    async with (
        Caller.on_air(http, engine, f"{name}-en") as english,
        Caller.on_air(http, engine, f"{name}-zh") as chinese,
    ):
        cuts = await asyncio.gather(cut_off(english, 0), cut_off(chinese, 1))
    for cut in (*cuts[0], *cuts[1]):
        assert cut.ledger["interrupted"]
        assert cut.reply.text.startswith(cut.ledger["heard"])
        assert cut.heard < len(cut.reply.units)
        assert abs(cut.heard - cut.sounded) <= cut.reply.tolerance
    for language in cuts:
        longest = max(language, key=lambda cut: len(cut.pcm))
        size = len(longest.pcm)
        made = await synthesize(speech_channel, token, longest.reply, size=size)
        # Nothing of the sound was lost, doubled or out of place.
        assert all(made.startswith(cut.pcm) for cut in language)
        recognized = longest.reply.recognized(await transcribe(speech_channel, token, longest))
        # Where a sound breaks off a recognizer guesses.
        slack = longest.reply.tolerance + 2
        assert min(abs(longest.heard - n) for n in recognized) <= slack
