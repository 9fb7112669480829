"""`python -m bench.scale`: creates and replies in storms against the cloud's limits, simulated.

Time is simulated; the rules are the product's own: its rate limits, deadlines, polls and refusals.
The cloud's call and start times are assumed, as given in the output. The same seed prints the same
JSON.
"""

import argparse
import json
import sys

from bench.scale.cloud import CALL_S, StartTime
from bench.scale.figures import Figures
from bench.scale.replies import Rhythm, reply_figures
from bench.scale.storms import run, storms
from bench.scale.users import PATIENCE_S, TALK_S

CONVERSATIONS = (50, 80, 100, 120, 150)


def simulate(start: StartTime, *, seed: int) -> Figures:
    """Return the figures of all scenarios."""
    return {
        "seed": seed,
        "assumed": {
            "start_s": {"median": start.median_s, "p99": start.p99_s},
            "call_s": CALL_S,
            "talk_s": TALK_S,
            "patience_s": PATIENCE_S,
        },
        "storms": {
            storm.name: run(storm, start=start, seed=seed).figures() for storm in storms(seed=seed)
        },
        "replies": [
            reply_figures(count, rhythm, seed=seed) for rhythm in Rhythm for count in CONVERSATIONS
        ],
    }


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--start-median-s", type=float, default=2.5)
    parser.add_argument("--start-p99-s", type=float, default=8.0)
    options = parser.parse_args()
    start = StartTime(median_s=options.start_median_s, p99_s=options.start_p99_s)
    json.dump(simulate(start, seed=options.seed), sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
