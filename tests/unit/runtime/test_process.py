"""A process that is ready has its garbage collected in small parts."""

import subprocess
import sys
from pathlib import Path

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


def test_garbage_is_collected_before_what_is_left_is_spared() -> None:
    done = subprocess.run(
        [sys.executable, "-c", READY],
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "None True False\n"
