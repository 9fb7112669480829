"""A share of `make fuzz`: hostile input at every level leaves all processes as they were."""

import asyncio
import os
import signal

import pytest

from bench.fuzz.findings import Findings
from bench.fuzz.run import NAMES, Plan, attacked, fuzz
from bench.fuzz.target import under_fire

INPUTS = 800
pytestmark = pytest.mark.timeout(300)


async def test_hostile_input_does_no_harm() -> None:
    # How long others wait depends on the machine: `make fuzz` measures it.
    figures = await fuzz(Plan(inputs=INPUTS, seed=12), is_timed=False)
    assert not figures["broken"]
    assert not figures["violations"]
    # Each level has answered what it was sent.
    levels = {name.partition(":")[0] for name in figures["outcomes"]}
    assert levels == set(NAMES)
    assert figures["inputs"] > INPUTS * 0.95
    for wait in figures["others_waited"].values():
        assert wait["asked"]
        assert not wait["unanswered"]


async def test_a_process_that_ends_ends_the_run_and_is_told() -> None:
    # More than could be fired before this test is over.
    plan = Plan(inputs=10_000_000, seed=12, levels=("messages",))
    findings = Findings()
    async with under_fire(plan.seed) as target:
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
