"""`python -m bench.fuzz`: hostile input at all levels, against all processes; prints JSON.

An input follows from the seed, its level and its number there, so that one which did harm can be
fired again: `--levels wire --number 123`.
"""

import argparse
import json
import sys

import uvloop

from bench.fuzz.run import NAMES, Plan, fuzz


def main() -> None:
    """Run and print; the exit code is 1 where anything was violated."""
    parser = argparse.ArgumentParser(prog="python -m bench.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--levels", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--number", type=int)
    parser.add_argument("--seconds", type=float, default=86_400.0)
    options = parser.parse_args()
    figures = uvloop.run(fuzz(Plan(**vars(options))))
    json.dump({"plan": vars(options), **figures}, sys.stdout, indent=2, ensure_ascii=False)
    print()
    sys.exit(bool(figures["broken"] or figures["violation_count"]))


if __name__ == "__main__":
    main()
