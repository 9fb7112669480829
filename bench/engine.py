"""`python -m bench.engine`: what a talking and an idle face cost, how even they run, how late they
are; prints JSON with the goals beside the figures.

The engine runs in a process of its own. This one generates the load: viewers that decrypt and
reassemble everything but decode nothing. Times are measured in headless Chromium.
"""

import argparse
import asyncio
import json
import os
import platform
from dataclasses import asdict
from typing import Any

import psutil

from bench.engine_browser import measure_times
from bench.engine_load import Load, measure_load
from bench.engine_process import running_engine

GOALS = {
    "talking_cores_per_session": 0.20,
    "idle_cores_per_session": 0.04,
    "frames_per_second_at_4": 25.0,
    "late_share_at_4": 0.02,
    "audio_minus_video_ms_p50": 45.0,
}


async def measure(sessions: list[int], seconds: float, utterances: int) -> dict[str, Any]:
    """All figures; each load has an engine of its own."""
    loads: list[Load] = []
    for talking in (False, True):
        for count in sessions:
            async with running_engine() as engine:
                loads.append(
                    await measure_load(engine, count=count, talking=talking, seconds=seconds)
                )
    async with running_engine() as engine:
        times = await measure_times(engine, utterances=utterances)
    return {
        "machine": {
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "load_average": psutil.getloadavg()[0],
        },
        "goals": GOALS,
        "loads": [asdict(load) for load in loads],
        "times": times,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, nargs="+", default=[1, 2, 4, 6])
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--utterances", type=int, default=12)
    options = parser.parse_args()
    figures = asyncio.run(measure(options.sessions, options.seconds, options.utterances))
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
