"""What a start of the engine does without, and what it leaves behind."""

import os
import subprocess
import sys

LOADING = """
import gc
import sys
from engine.light_start import end_start, start_light

usual = gc.get_threshold()
start_light()
collected = []
gc.callbacks.append(lambda phase, info: collected.append(phase))
import engine.app
print(collected)
print([name for name in ("httpx._main", "pygments", "rich") if sys.modules.get(name)])
end_start()
print(gc.get_threshold() == usual, gc.get_freeze_count() > 0)
"""


def test_a_start_looks_for_no_garbage_and_loads_nothing_to_draw_with() -> None:
    told = subprocess.run(
        [sys.executable, "-c", LOADING],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout
    assert told == "[]\n[]\nTrue True\n"
