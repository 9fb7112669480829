"""`python -m bench.chaos`: kills processes under load and checks what users were told, as JSON."""

import argparse
import json
import sys
from contextlib import nullcontext

import uvloop

from bench.chaos.postgres import killable_server
from bench.chaos.run import Plan, run


def main() -> None:
    """Run and print; the exit code is 1 where anything was violated."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--replicas", type=int, default=1)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--users", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lost", type=float, default=0.05, help="share of answers that are lost")
    options = parser.parse_args()
    plan = Plan(
        replicas=options.replicas,
        kills=options.kills,
        users=options.users,
        seed=options.seed,
        lost_share=options.lost,
    )
    with killable_server() if options.database == "postgres" else nullcontext() as server:
        figures = uvloop.run(run(plan, server))
    json.dump({"plan": vars(options), **figures}, sys.stdout, indent=2, ensure_ascii=False)
    print()
    sys.exit(bool(figures["violations"]))


if __name__ == "__main__":
    main()
