"""A share of `make fuzz`: hostile input at every level leaves all processes as they were."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from bench.fuzz.findings import Findings
from bench.fuzz.run import NAMES, Plan, attacked
from bench.fuzz.target import Target, under_fire

INPUTS = 800
SEED = 12
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def target() -> AsyncIterator[Target]:
    """Processes of these tests' own, of which the last test ends one."""
    async with under_fire(SEED) as started:
        yield started


async def test_hostile_input_does_no_harm(target: Target) -> None:
    # How long others wait depends on the machine: `make fuzz` measures it.
    figures = await attacked(target, Plan(inputs=INPUTS, seed=SEED), Findings(), is_timed=False)
    assert not figures["broken"]
    assert not figures["violations"]
    # Each level has answered what it was sent.
    levels = {name.partition(":")[0] for name in figures["outcomes"]}
    assert levels == set(NAMES)
    assert figures["inputs"] > INPUTS * 0.95
    for wait in figures["others_waited"].values():
        assert wait["asked"]
        assert not wait["unanswered"]


async def test_a_process_that_ends_ends_the_run_and_is_told(target: Target) -> None:
    # More than could be fired before this test is over.
    plan = Plan(inputs=10_000_000, seed=SEED, levels=("messages",))
    findings = Findings()
    attack = asyncio.create_task(attacked(target, plan, findings, is_timed=False))
    while not findings.inputs("messages"):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    pid = target.cluster.pid("task")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    figures = await attack
    assert "task ended by itself with exit code -9" in figures["broken"]
    assert 0 < figures["inputs"] < plan.inputs
    memory = figures["memory_mb"]["final"]
    assert "gateway" in memory
    assert "task" not in memory
