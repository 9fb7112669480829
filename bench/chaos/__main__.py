"""`python -m bench.chaos`: what users notice when processes go away under load, as JSON.

By default processes are killed and paused at random moments; with --rolling they are restarted one
after the other, as for a new version.
"""

import argparse
import json
import sys
from contextlib import nullcontext

import uvloop

from bench.chaos.postgres import killable_server
from bench.chaos.run import Plan, chaos, rolling


def main() -> None:
    """Run and print; the exit code is 1 where anything was violated."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--replicas", type=int, default=1)
    parser.add_argument("--users", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--kills", type=int, default=60)
    what.add_argument("--rolling", type=float, metavar="MINUTES")
    options = parser.parse_args()
    plan = Plan(replicas=options.replicas, users=options.users, seed=options.seed)
    with killable_server() if options.database == "postgres" else nullcontext() as server:
        if options.rolling is None:
            run = chaos(plan, server, kills=options.kills)
        else:
            run = rolling(plan, server, minutes=options.rolling)
        figures = uvloop.run(run)
    json.dump({"plan": vars(options), **figures}, sys.stdout, indent=2, ensure_ascii=False)
    print()
    sys.exit(bool(figures["violations"]))


if __name__ == "__main__":
    main()
