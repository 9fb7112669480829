"""Turns that are cut off leave nothing behind."""

import asyncio
import gc
from collections import Counter
from collections.abc import Iterator

import grpc
import psutil

from tests.support.converse import COMMIT, INTERRUPT, Talk, audio, text
from tests.support.loudness import voiced
from tests.support.scripted_providers import ScriptedChat
from tests.support.speech_rig import Script, speech_rig

ROUNDS = 20
SETTLE_S = 10.0


async def test_cut_turns_leave_no_tasks_files_or_calls() -> None:
    chat = ScriptedChat(deltas=("One. ",) * 20)
    async with speech_rig(Script(chat=chat)) as rig, Talk.open(rig) as talk:
        rig.avatars.plays_s = 0.3
        await _cut_off(talk, rounds=5)
        before = await _settled()
        await _cut_off(talk, rounds=ROUNDS)
        after = await _settled()
    assert after == before
    assert sum(each.ended_by == "interrupt" for each in rig.avatars.drives) >= ROUNDS


async def _cut_off(talk: Talk, *, rounds: int) -> None:
    """Cut replies off by order, by a new question, by voice, and before they are heard."""
    for _ in range(rounds):
        await talk.send(text("Why?"))
        await talk.until("playback_started")
        await talk.send(INTERRUPT)
        await talk.until("turn_finished")
        await talk.send(text("Why?"))
        await talk.until("playback_started")
        await talk.send(text("And how?"))
        await talk.until("turn_finished")
        await talk.until("playback_started")
        await talk.send(*audio(voiced(0.3)), COMMIT)
        await talk.until("turn_finished")
        await talk.until("turn_started")
        await talk.send(INTERRUPT)
        await talk.until("turn_finished")


async def _settled() -> Counter[str]:
    """Count what is held when nothing moves any more: the same twice in a row."""
    held: Counter[str] = Counter()
    async with asyncio.timeout(SETTLE_S):
        while True:
            await asyncio.sleep(0.3)
            gc.collect()
            now = Counter(_held())
            if now == held:
                return held
            held = now


def _held() -> Iterator[str]:
    yield from ("file" for _ in range(psutil.Process().num_fds()))
    yield from (
        f"task {getattr(task.get_coro(), '__qualname__', task)}" for task in asyncio.all_tasks()
    )
    calls = (grpc.aio.Call, grpc.aio.ServicerContext)
    yield from (type(each).__name__ for each in gc.get_objects() if isinstance(each, calls))
