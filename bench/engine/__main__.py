"""`python -m bench.engine`: what faces cost, how smooth and how late they are, as JSON.

The engine runs in its own process. This one generates the load: viewers that decrypt and reassemble
everything but decode nothing. Delays are measured in headless Chromium. Each goal is printed with
its figure; the goals are for an otherwise idle machine with two cores.
"""

import argparse
import asyncio
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import psutil

from bench.engine.browser import measure_times
from bench.engine.load import Kind, Load, measure_load
from bench.engine.process import running_engine

Verdict = dict[str, Any]

FRAMES_PER_S = 25.0
# As many frames may be missing as may be late.
MAX_LATE_SHARE = 0.02


async def measure(sessions: Sequence[int], seconds: float, utterances: int) -> dict[str, Any]:
    """Measure everything; each load has an engine of its own."""
    started = psutil.getloadavg()[0]
    loads = []
    for kind, count in [(kind, count) for kind in Kind for count in sessions]:
        async with running_engine() as engine:
            loads.append(await measure_load(engine, kind=kind, count=count, seconds=seconds))
    async with running_engine() as engine:
        times = await measure_times(engine, utterances=utterances)
    return {
        "machine": {
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "load_average_before": round(started, 2),
        },
        "goals": judge(loads, times),
        "loads": [asdict(load) for load in loads],
        "times": times,
    }


def judge(loads: Sequence[Load], times: dict[str, Any]) -> list[Verdict]:
    """Return each goal with its figure, for those that were measured."""
    costs = {Kind.TALKING: 0.20, Kind.IDLE: 0.04, Kind.BLENDSHAPE: 0.06}
    verdicts = [
        _at_most(f"cores of one session, {load.kind}", load.cores_per_session, costs[load.kind])
        for load in loads
        if load.sessions == 1
    ]
    for load in loads:
        if load.kind is Kind.TALKING and load.sessions == 4:
            rate = load.frames_per_second_per_session
            verdicts.append(_at_most("late frames of 4 sessions", load.late_share, MAX_LATE_SHARE))
            verdicts.append(
                _at_least("frames a second of 4", rate, FRAMES_PER_S * (1 - MAX_LATE_SHARE))
            )
    offset = abs(times["audio_minus_video_ms_p50"])
    return [*verdicts, _at_most("sound and picture apart, ms", offset, 45.0)]


def _at_most(what: str, figure: float, goal: float) -> Verdict:
    return {"what": what, "figure": figure, "at_most": goal, "met": figure <= goal}


def _at_least(what: str, figure: float, goal: float) -> Verdict:
    return {"what": what, "figure": figure, "at_least": goal, "met": figure >= goal}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.engine", description=__doc__)
    parser.add_argument("--sessions", type=int, nargs="+", default=[1, 2, 4, 6])
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--utterances", type=int, default=24)
    options = parser.parse_args()
    figures = asyncio.run(measure(options.sessions, options.seconds, options.utterances))
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
