"""Conversations under load, and our share of them: lateness, cost, memory, order."""

import asyncio
import math
import os
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import grpc
import psutil

from bench.conversation.client import Client, Detection, Way, connected
from bench.conversation.fakes import (
    Question,
    ideal_s,
    reply_s,
)
from bench.conversation.lateness import (
    Figures,
    drives_of,
    hops,
    lateness,
    percentile,
    spread,
    vendor_lateness,
)
from bench.conversation.stack import MEDIA, Shape, Stack, running_stack

SPEECH_S = 3.0
PAUSE_S = 1.5
"""Between a reply and the next question. The cloud grants ten new drives a second."""

SETTLE_S = 3.0
PARTS = 5
"""The shares of turns after which resources are counted; the first warms up."""

_TASKS_AT_ONCE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Who talks, and how."""

    sessions: int
    detection: Detection = Detection.MANUAL
    way: Way = Way.GATEWAY
    shape: Shape = field(default_factory=Shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """Users in conversations."""

    stack: Stack
    clients: Sequence[Client]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What the processes used within a period."""

    seconds: float
    cpu_s: dict[str, float]
    load_cpu_s: float
    other_cpu_s: float

    def figures(self, sessions: int) -> Figures:
        """Return CPU seconds per minute of one conversation."""
        minutes = self.seconds / 60 * sessions
        each = {name: round(used / minutes, 3) for name, used in self.cpu_s.items()}
        return {
            "cpu_s_per_conversation_minute": round(sum(each[name] for name in MEDIA), 3),
            "by_process": each,
            "load_generator_and_cloud_cores": round(self.load_cpu_s / self.seconds, 2),
            "cores_used_by_others": round(self.other_cpu_s / self.seconds, 2),
            "load_average": round(psutil.getloadavg()[0], 2),
        }


@asynccontextmanager
async def crowd(plan: Plan, *, has_microphone: bool = True) -> AsyncIterator[Crowd]:
    """Start everything, and connect the users."""
    async with AsyncExitStack() as life:
        stack = await life.enter_async_context(running_stack(plan.shape))
        channel = await life.enter_async_context(grpc.aio.insecure_channel(stack.speech_target))
        clients: list[Client] = []
        numbers = list(range(plan.sessions))
        for at in range(0, len(numbers), _TASKS_AT_ONCE):
            coming = (
                life.enter_async_context(
                    connected(
                        stack,
                        f"bench-{number}",
                        user=number,
                        way=plan.way,
                        detection=plan.detection,
                        channel=channel,
                        has_microphone=has_microphone,
                    )
                )
                for number in numbers[at : at + _TASKS_AT_ONCE]
            )
            clients += [await each for each in coming]
        yield Crowd(stack=stack, clients=clients)


async def talk(plan: Plan, *, seconds: float) -> Figures:
    """Measure conversations for a time, after a warm-up of one turn each."""
    cycle_s = SPEECH_S + ideal_s(Question.TWO_SENTENCES) + reply_s(Question.TWO_SENTENCES) + PAUSE_S
    async with crowd(plan) as people:
        ending = asyncio.Event()
        talking = [
            asyncio.create_task(_converse(client, cycle_s * index / plan.sessions, ending))
            for index, client in enumerate(people.clients)
        ]
        await asyncio.sleep(cycle_s)
        for client in people.clients:
            client.utterances.clear()
            client.words_behind_s.clear()
        await people.stack.records()
        if plan.shape.has_vendors:
            await people.stack.vendor_records()
        began = time.monotonic()
        window = await _watch(people.stack, seconds)
        ended = time.monotonic()
        ending.set()
        failures = [each for each in await asyncio.gather(*talking) if each]
        await asyncio.sleep(SETTLE_S)
        records = await people.stack.records()
        rest = lateness(people.clients, records, began, ended)
        if plan.shape.has_vendors:
            told = await people.stack.vendor_records()
            rest |= vendor_lateness(people.clients, told) | hops(people.clients, records, told)
        return {
            "sessions": plan.sessions,
            "turn_detection": plan.detection,
            "through": plan.way,
            "seconds": seconds,
            **rest,
            "unfinished_turns": len(failures),
            **window.figures(plan.sessions),
        }


async def barge_in(plan: Plan, *, times: int) -> Figures:
    """Cut off replies at random moments, ask again, and measure when silence begins."""
    async with crowd(plan) as people:
        each = math.ceil(times / plan.sessions)
        lost = await asyncio.gather(
            *(_barge_in(client, each, index) for index, client in enumerate(people.clients))
        )
        await asyncio.sleep(SETTLE_S)
        records = await people.stack.records()
        until_last_pcm, until_order, without_audio, cuts = [], [], 0, 0
        for client in people.clients:
            record = records[client.stream_id]
            for at, utterance in zip(client.interrupted_at, client.utterances[1:], strict=True):
                cuts += 1
                old = [
                    arrival
                    for drive in record["drives"]
                    if drive["opened_at"] < at
                    for arrival, _ in drive["arrivals"]
                ]
                until_last_pcm.append(max(0.0, max(old, default=at) - at))
                orders = [order for order in record["interrupts"] if order >= at]
                if orders and min(orders) < utterance.ended_at:
                    until_order.append(min(orders) - at)
                if not drives_of(utterance, record):
                    without_audio += 1
        return {
            "sessions": plan.sessions,
            "barge_ins": cuts,
            "through": plan.way,
            "last_pcm_ms": spread(until_last_pcm),
            "cloud_interrupted_ms": spread(until_order),
            "cloud_interrupted": len(until_order),
            "lost_replies": sum(lost),
            "replies_without_audio": without_audio,
            "load_average": round(psutil.getloadavg()[0], 2),
        }


async def leaks(plan: Plan, *, times: int) -> Figures:
    """Measure what the processes hold after each fifth of the turns, all cut off."""
    each = math.ceil(times / plan.sessions / PARTS)
    held, lost = [], 0
    async with crowd(plan) as people:
        for part in range(PARTS):
            lost += sum(
                await asyncio.gather(
                    *(
                        _barge_in(client, each, part * plan.sessions + index)
                        for index, client in enumerate(people.clients)
                    )
                )
            )
            await asyncio.sleep(SETTLE_S)
            held.append(people.stack.held())
            await people.stack.records()
    turns = each * plan.sessions * (PARTS - 1)
    grown = {name: held[-1][name]["rss_kb"] - held[0][name]["rss_kb"] for name in held[0]}
    return {
        "sessions": plan.sessions,
        "turns_per_part": each * plan.sessions,
        "held": held,
        "lost_replies": lost,
        "rss_kb_per_turn_after_the_first_part": {
            name: round(growth / turns, 2) for name, growth in grown.items()
        },
    }


async def first_sound(plan: Plan, *, times: int) -> Figures:
    """Measure the time from the end of speech to the first audio, by the shape of the reply."""
    questions = (Question.ONE_SENTENCE, Question.EIGHT_SENTENCES, Question.CLAUSE)
    async with crowd(plan) as people:
        for index in range(times * len(questions)):
            for client in people.clients:
                count = client.count("playback_started")
                await client.say(questions[index % len(questions)], 1.0)
                await client.until("playback_started", count + 1, within_s=10)
                await asyncio.sleep(0.3)
                await client.interrupt()
                await asyncio.sleep(0.5)
        records = await people.stack.records()
        found: dict[Question, list[float]] = {question: [] for question in questions}
        for client in people.clients:
            for utterance in client.utterances[len(questions) :]:
                for drive in drives_of(utterance, records[client.stream_id])[:1]:
                    at = drive["arrivals"][0][0] - utterance.ended_at
                    found[utterance.question].append(at)
        one, eight, clause = (percentile(found[question], 0.5) for question in questions)
        return {
            "one_sentence_ms": spread(found[Question.ONE_SENTENCE]),
            "eight_sentences_ms": spread(found[Question.EIGHT_SENTENCES]),
            "clause_ms": spread(found[Question.CLAUSE]),
            "ideal_sentence_ms": round(ideal_s(Question.ONE_SENTENCE) * 1000),
            "ideal_clause_ms": round(ideal_s(Question.CLAUSE) * 1000),
            "eight_to_one": round(eight / one, 3),
            "clause_p50_ms": round(clause * 1000, 1),
            "load_average": round(psutil.getloadavg()[0], 2),
        }


async def idle(plan: Plan, *, more: int) -> Figures:
    """Measure the memory of open, silent conversations."""
    async with crowd(plan, has_microphone=False) as people:
        await asyncio.sleep(SETTLE_S)
        before = people.stack.rss_kb()
        async with AsyncExitStack() as life:
            channel = await life.enter_async_context(
                grpc.aio.insecure_channel(people.stack.speech_target)
            )
            for number in range(more):
                await life.enter_async_context(
                    connected(
                        people.stack,
                        f"more-{number}",
                        way=plan.way,
                        detection=plan.detection,
                        channel=channel,
                        has_microphone=False,
                    )
                )
            await asyncio.sleep(SETTLE_S)
            after = people.stack.rss_kb()
    each = {name: round((after[name] - before[name]) / more, 1) for name in before}
    return {
        "sessions": more,
        "through": plan.way,
        "rss_kb_per_session": round(sum(each[name] for name in MEDIA), 1),
        "by_process": each,
    }


async def _converse(client: Client, after_s: float, ending: asyncio.Event) -> int:
    """Ask and listen to the end; return how many turns did not finish."""
    await asyncio.sleep(after_s)
    unfinished = 0
    while not ending.is_set():
        over = client.count("turn_finished") + client.count("turn_failed")
        await client.say(Question.TWO_SENTENCES, SPEECH_S)
        if not await client.until("turn_finished", over + 1, within_s=30):
            unfinished += 1
        await asyncio.sleep(PAUSE_S)
    return unfinished


async def _barge_in(client: Client, times: int, seed: int) -> int:
    """Return how many replies never started."""
    dice = random.Random(seed)
    await asyncio.sleep(seed * 0.1)
    lost = 0
    count = client.count("playback_started")
    await client.say(Question.LONG, 0.4)
    for _ in range(times):
        if not await client.until("playback_started", count + 1, within_s=5):
            lost += 1
        await asyncio.sleep(dice.uniform(0, 0.8))
        count = client.count("playback_started")
        await client.interrupt()
        await client.say(Question.LONG, 0.4)
    if not await client.until("playback_started", count + 1, within_s=5):
        lost += 1
    return lost


async def _watch(stack: Stack, seconds: float) -> Window:
    own = (psutil.Process(), stack.processes["cloud"])
    began, used, load, busy = time.monotonic(), stack.cpu_s(), _cpu_s(own), _machine_cpu_s()
    await asyncio.sleep(seconds)
    passed = time.monotonic() - began
    now = stack.cpu_s()
    cpu_s = {name: now[name] - used[name] for name in used}
    load_cpu_s = _cpu_s(own) - load
    return Window(
        seconds=passed,
        cpu_s=cpu_s,
        load_cpu_s=load_cpu_s,
        other_cpu_s=max(0.0, _machine_cpu_s() - busy - sum(cpu_s.values()) - load_cpu_s),
    )


def _cpu_s(processes: Sequence[psutil.Process]) -> float:
    return float(sum(sum(process.cpu_times()[:2]) for process in processes))


def _machine_cpu_s() -> float:
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0))


def one_core() -> Shape:
    """Run all services on the first core of this machine."""
    return Shape(cores=(min(os.sched_getaffinity(0)),))
