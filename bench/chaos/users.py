"""Users who create, talk, interrupt, stop and vanish until they are told to go."""

import asyncio
import random
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from bench.chaos.account import UNANSWERED, Account, KnownTask
from bench.chaos.calls import Calls, LosingTransport, Refused
from bench.chaos.lines import Line, TaskOver
from bench.conversation.fakes import Question

_QUESTIONS = (Question.ONE_SENTENCE, Question.ONE_SENTENCE, Question.TWO_SENTENCES)
_READ_TIMEOUT_S = 40.0
_IDLE_S = 30
_FINAL = ("STOPPED", "FAILED")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """How users behave; shares of calls, from 0 to 1."""

    interrupting: float = 0.3
    """Of replies that are interrupted."""
    breaking: float = 0.2
    """Of replies during which the connection breaks."""
    vanishing: float = 0.2
    """Of users who leave without stopping their task."""
    losing: float = 0.05
    """Of answers that do not arrive."""


CHAOTIC = Manners()
PATIENT = Manners(interrupting=0.2, breaking=0.0, vanishing=0.0, losing=0.0)


class User:
    """One user, who makes call after call."""

    def __init__(
        self,
        *,
        name: str,
        calls: Calls,
        account: Account,
        rng: random.Random,
        manners: Manners,
    ) -> None:
        self._manners = manners
        self._name = name
        self._calls = calls
        self._account = account
        self._rng = rng
        self._is_over = asyncio.Event()

    def go(self) -> None:
        """Begin nothing new."""
        self._is_over.set()

    async def run(self) -> None:
        """Call until told to go."""
        number = 0
        while not self._is_over.is_set():
            number += 1
            try:
                await self._call(f"{self._name}-{number}-{uuid.uuid4().hex[:8]}")
            except Refused:
                await asyncio.sleep(0.2)

    async def _call(self, stream_id: str) -> None:
        body = {
            "roomId": stream_id,
            "streamId": stream_id,
            "lang": "en",
            "maxIdleSeconds": _IDLE_S,
            "greeting": "",
        }
        headers = {"Idempotency-Key": stream_id}
        if self._rng.random() < 0.5:
            headers["Prefer"] = "respond-async"
        created = await self._calls.repeated("create-task", body, headers)
        task = KnownTask(task_id=created["taskId"], stream_id=stream_id)
        known = self._account.tasks.setdefault(task.task_id, task)
        if known.stream_id != stream_id:
            self._account.breaches.append(f"{task.task_id} was given to two calls")
        if created["state"] in _FINAL:
            return
        way = self._rng.choice((self._talk_by_line, self._talk_by_line, self._talk_by_http))
        await way(task)
        # The rest vanishes, and its tasks end when nobody has talked for a while.
        if self._rng.random() >= self._manners.vanishing:
            await self._stop(task)

    async def _stop(self, task: KnownTask) -> None:
        stopped = await self._calls.repeated("stop-task", {"taskId": task.task_id})
        if stopped["state"] in _FINAL:
            task.ended_at = time.monotonic()

    async def _talk_by_http(self, task: KnownTask) -> None:
        for _ in range(self._rng.randint(1, 3)):
            body = {"taskId": task.task_id, "text": self._question()}
            try:
                turn = await self._calls.once("talk-to-ai", body)
            except (Refused, httpx.TransportError):
                await asyncio.sleep(0.5)
                continue
            self._account.close_turn(task.task_id, turn)
            if self._is_over.is_set():
                return

    async def _talk_by_line(self, task: KnownTask) -> None:
        line = Line(task_id=task.task_id, calls=self._calls, account=self._account)
        holding = asyncio.create_task(line.run())
        talking = asyncio.create_task(self._talk(line))
        await asyncio.wait({holding, talking}, return_when=asyncio.FIRST_COMPLETED)
        for each in (holding, talking):
            each.cancel()
        results = await asyncio.gather(holding, talking, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, TaskOver | Refused):
                raise result

    async def _talk(self, line: Line) -> None:
        for _ in range(self._rng.randint(1, 4)):
            trouble = asyncio.create_task(self._trouble(line))
            try:
                if not await line.ask(self._question()):
                    self._account.answers[UNANSWERED] += 1
            finally:
                trouble.cancel()
            if self._is_over.is_set():
                return

    async def _trouble(self, line: Line) -> None:
        """Interrupt the reply, lose the connection, or neither."""
        await line.started.wait()
        await asyncio.sleep(self._rng.uniform(0, 2))
        chance = self._rng.random()
        if chance < self._manners.interrupting:
            try:
                await self._calls.once("interrupt", {"taskId": line.task_id})
            except (Refused, httpx.TransportError):
                return
        elif chance < self._manners.interrupting + self._manners.breaking:
            line.break_off()

    def _question(self) -> str:
        return f"Tell me more about number {int(self._rng.choice(_QUESTIONS))}."


def make_users(
    count: int, *, gateways: Sequence[str], account: Account, manners: Manners, seed: int
) -> tuple[list[User], httpx.AsyncClient]:
    """Return users, and the client that they share."""
    transport = LosingTransport(share=manners.losing, rng=random.Random(f"users {seed}"))
    http = httpx.AsyncClient(transport=transport, timeout=_READ_TIMEOUT_S, trust_env=False)
    users = []
    for index in range(count):
        rng = random.Random(f"user {seed} {index}")
        calls = Calls(gateways=gateways, http=http, account=account, rng=rng)
        name = f"user{index}"
        users.append(User(name=name, calls=calls, account=account, rng=rng, manners=manners))
    return users, http
