"""`python -m bench.conversation FIGURE`: our share of a conversation's time and cost, as JSON.

Gateway, speech, avatar and task run as processes with their real servers; recognition, language
model and voice are timed fakes, or the adapters of vendors with servers that take as long, and a
minimal cloud records when audio arrives. Load, vendors and cloud are processes of their own, whose
CPU is not counted.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Coroutine
from typing import Any

import psutil
import uvloop

from bench.conversation.client import Detection, Way
from bench.conversation.figures import (
    Plan,
    barge_in,
    first_sound,
    idle,
    leaks,
    one_core,
    talk,
)
from bench.conversation.lateness import Figures
from bench.conversation.stack import Shape


def measure(options: argparse.Namespace) -> Coroutine[Any, Any, Figures]:
    """Return the requested measurement."""
    shape = one_core() if options.one_core else Shape()
    shape = Shape(
        cores=shape.cores,
        ears=options.ears,
        has_vendors=options.providers == "scripted-vendors",
        profile=options.profile,
    )
    plan = Plan(
        sessions=options.sessions,
        detection=Detection(options.detection),
        way=Way(options.through),
        shape=shape,
    )
    match options.figure:
        case "barge-in":
            return barge_in(plan, times=options.times)
        case "idle":
            return idle(plan, more=options.more)
        case "leaks":
            return leaks(plan, times=options.times)
        case "first-sound":
            return first_sound(plan, times=options.times)
        case _:
            return talk(plan, seconds=options.seconds)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.conversation", description=__doc__)
    parser.add_argument("figure", choices=["talk", "barge-in", "idle", "first-sound", "leaks"])
    parser.add_argument("--sessions", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--times", type=int, default=1000)
    parser.add_argument("--more", type=int, default=100)
    parser.add_argument("--detection", choices=list(Detection), default=Detection.MANUAL)
    parser.add_argument("--through", choices=list(Way), default=Way.GATEWAY)
    parser.add_argument("--ears", choices=["timed", "real"], default="timed")
    parser.add_argument("--providers", choices=["timed", "scripted-vendors"], default="timed")
    parser.add_argument("--one-core", action="store_true")
    parser.add_argument("--profile", default="")
    options = parser.parse_args()
    if options.providers != "timed" and options.detection != Detection.MANUAL:
        parser.error("scripted vendors hear only how much was said until the utterance ends")
    before = psutil.getloadavg()[0]
    figures = uvloop.run(measure(options))
    machine = {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load_average_before": round(before, 2),
        "time": time.strftime("%Y-%m-%d %H:%M"),
    }
    json.dump({"figure": options.figure, "machine": machine, **figures}, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
