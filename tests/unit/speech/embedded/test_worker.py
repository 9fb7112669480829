"""Blocking calls of a model run one after another, in one thread of its own."""

import asyncio
import threading
import time

import pytest

from services.runtime.callers.caller import Caller, acting_for
from services.runtime.callers.flow import in_flow
from services.speech.embedded.worker import Worker, open_worker, provider_errors
from services.speech.ports.errors import ProviderError
from services.speech.ports.stages import Stage


async def test_calls_run_in_turn_in_another_thread() -> None:
    calls: list[tuple[int, int]] = []

    def call(number: int) -> None:
        calls.append((number, threading.get_ident()))

    async with open_worker("test") as worker:
        await asyncio.gather(*(worker.run(call, number) for number in range(5)))
    assert [number for number, _ in calls] == list(range(5))
    assert len({thread for _, thread in calls}) == 1
    assert calls[0][1] != threading.get_ident()


async def test_a_call_cancelled_before_its_turn_never_runs() -> None:
    is_first_allowed_to_end = threading.Event()
    calls: list[str] = []
    async with open_worker("test") as worker:
        first = asyncio.create_task(worker.run(is_first_allowed_to_end.wait, 10))
        second = asyncio.create_task(worker.run(calls.append, "second"))
        third = asyncio.create_task(worker.run(calls.append, "third"))
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        is_first_allowed_to_end.set()
        await asyncio.gather(first, third)
    assert calls == ["third"]


async def test_tenants_take_turns_and_so_do_their_conversations() -> None:
    may_begin = threading.Event()
    calls: list[tuple[str, str]] = []

    async def ask(worker: Worker, tenant: str, conversation: str) -> None:
        with acting_for(Caller(tenant_id=tenant)), in_flow(conversation):
            await worker.run(calls.append, (tenant, conversation))

    async with open_worker("test") as worker:
        blocking = worker.submit(may_begin.wait, 10)
        greedy = [("greedy", "one")] * 20 + [("greedy", "two")]
        asking = [asyncio.create_task(ask(worker, *flow)) for flow in [*greedy, ("modest", "only")]]
        await asyncio.sleep(0)
        # What is given up leaves no gap that costs others their turn.
        asking[0].cancel()
        await asyncio.wait({asking[0]})
        may_begin.set()
        await asyncio.gather(*asking[1:])
    assert blocking.done()
    assert calls[:3] == [("greedy", "one"), ("modest", "only"), ("greedy", "two")]
    assert len(calls) == 21


async def test_a_thread_that_hangs_is_abandoned() -> None:
    may_end = threading.Event()
    async with open_worker("test", stall_s=0.05) as worker:
        with (
            pytest.raises(ProviderError, match="hangs") as caught,
            provider_errors(Stage.CHAT, "llama"),
        ):
            await worker.run(may_end.wait, 30)
        may_end.set()
    assert caught.value.transient


async def test_a_caller_waits_while_calls_before_it_make_progress() -> None:
    """However long that takes: a busy machine is not an outage."""
    stall_s = 2.0

    async with open_worker("test", stall_s=stall_s) as worker:

        def work_slowly() -> None:
            for _ in range(40):
                time.sleep(stall_s / 30)
                worker.progress()

        first = asyncio.create_task(worker.run(work_slowly))
        assert await worker.run(lambda: "second") == "second"
        await first


async def test_leaving_waits_for_the_running_call_only() -> None:
    has_started = threading.Event()
    may_end = threading.Event()
    calls: list[str] = []

    def work() -> None:
        has_started.set()
        may_end.wait(10)
        calls.append("running")

    async with open_worker("test") as worker:
        running = worker.submit(work)
        waiting = worker.submit(calls.append, "waiting")
        assert has_started.wait(10)
        may_end.set()
    assert running.done()
    assert calls in (["running"], ["running", "waiting"])
    assert waiting.done()


async def test_an_error_reaches_the_caller() -> None:
    def fail() -> None:
        raise ValueError("wrong")

    async with open_worker("test") as worker:
        with pytest.raises(ValueError, match="wrong"):
            await worker.run(fail)


def test_library_errors_become_provider_errors_without_their_text() -> None:
    with pytest.raises(ProviderError) as caught, provider_errors(Stage.CHAT, "llama"):
        raise RuntimeError("/secret/path is broken")
    assert caught.value.stage is Stage.CHAT
    assert "secret" not in str(caught.value)


def test_provider_errors_pass_unchanged() -> None:
    original = ProviderError(Stage.CHAT, "llama", "busy", transient=True)
    with pytest.raises(ProviderError) as caught, provider_errors(Stage.CHAT, "other"):
        raise original
    assert caught.value is original
