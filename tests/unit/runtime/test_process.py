"""What all processes do: a light start, arguments, and garbage collected in small parts."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

READY = """
import asyncio
import gc
import weakref
from services.runtime.process import until_stopped

class Model:
    def __init__(self):
        self.itself = self

async def main():
    gc.disable()
    garbage = weakref.ref(Model())
    kept = Model()
    stopping = asyncio.create_task(until_stopped())
    await asyncio.sleep(0)
    print(garbage(), gc.is_tracked(kept), any(each is kept for each in gc.get_objects()))
    stopping.cancel()

asyncio.run(main())
"""

COLLECTING = """
import asyncio
import gc
from services.runtime import process

COUNT = gc.get_threshold()[0]

def make(count):
    for _ in range(count):
        itself = []
        itself.append(itself)

async def main():
    process.COLLECTED_EVERY_S = 0.001
    stopping = asyncio.create_task(process.until_stopped())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    collections = []
    gc.callbacks.append(lambda phase, info: phase == "start" and collections.append(phase))
    make(2 * COUNT)
    print(len(collections))
    while not collections:
        await asyncio.sleep(0.001)
    collections.clear()
    make(2 * process.OVERDUE * COUNT)
    print(bool(collections))
    stopping.cancel()

asyncio.run(main())
"""

LOADING = """
from services.runtime.process import run

async def main():
    import gc
    import sys
    collected = []
    gc.callbacks.append(lambda phase, info: collected.append(phase))
    import fastapi
    import httpx
    import services.task.app
    fastapi.FastAPI().get("/", response_model=dict[str, str])(main)
    print(collected)
    print([name for name in ("httpx._main", "pydantic.v1", "rich") if sys.modules.get(name)])

run("task", main)
"""

WAITING = """
import asyncio
import gc
from services.runtime.process import run, until_stopped

USUAL = gc.get_threshold()

async def main():
    stopping = asyncio.create_task(until_stopped())
    while gc.get_threshold()[0] > 10 * USUAL[0]:
        await asyncio.sleep(0)
    print(gc.get_threshold()[1] == USUAL[1])
    stopping.cancel()

run("task", main)
"""

LOADING_MODELS = """
import asyncio
import os
import signal
from services.runtime.process import run

async def main():
    os.kill(os.getpid(), signal.SIGINT)
    await asyncio.sleep(60)

run("speech", main)
"""


def printed_by(program: str) -> str:
    """Run a program of its own, and return what it prints."""
    return subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}"},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout


def test_garbage_is_collected_before_what_is_left_is_spared() -> None:
    assert printed_by(READY) == "None True False\n"


def test_a_start_looks_for_no_garbage_and_loads_nothing_that_is_not_used() -> None:
    assert printed_by(LOADING) == "[]\n[]\n"


def test_a_process_that_is_ready_collects_garbage_as_usual() -> None:
    assert printed_by(WAITING) == "True\n"


def test_garbage_is_collected_between_the_turns_of_the_loop_unless_there_is_much() -> None:
    assert printed_by(COLLECTING) == "0\nTrue\n"


@pytest.mark.parametrize(
    ("argument", "exit_code", "said"),
    [("--help", 0, "All settings are in the environment"), ("--prot=1", 2, "--prot=1")],
)
def test_arguments_start_nothing(argument: str, exit_code: int, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "services.avatar", argument],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == exit_code
    assert said in done.stdout + done.stderr


def test_a_process_that_is_interrupted_as_it_starts_ends_without_a_word() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", LOADING_MODELS], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 130
    assert ended.stderr == ""
