"""`python -m bench.chaos`: what users notice when processes go away under load, as JSON.

By default processes are killed and paused at random moments. With --rolling they are restarted one
after the other, as for a new version; with --unfaithful none of them ends, but calls to the journal
and the cloud fail, some of them after their effect.
"""

import argparse
import json
import sys
from collections.abc import Coroutine
from contextlib import nullcontext
from typing import Any

import uvloop

from bench.chaos.postgres import KillableServer, killable_server
from bench.chaos.run import Figures, Plan, chaos, rolling, unfaithful


def _chosen(
    options: argparse.Namespace, server: KillableServer | None
) -> Coroutine[Any, Any, Figures]:
    plan = Plan(replicas=options.replicas, users=options.users, seed=options.seed)
    if options.rolling is not None:
        return rolling(plan, server, minutes=options.rolling)
    if options.unfaithful is not None:
        return unfaithful(plan, server, minutes=options.unfaithful)
    return chaos(plan, server, kills=options.kills)


def main() -> None:
    """Run and print; the exit code is 1 where anything was violated."""
    parser = argparse.ArgumentParser(prog="python -m bench.chaos", description=__doc__)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--replicas", type=int, default=1)
    parser.add_argument("--users", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--kills", type=int, default=60)
    what.add_argument("--rolling", type=float, metavar="MINUTES")
    what.add_argument("--unfaithful", type=float, metavar="MINUTES")
    options = parser.parse_args()
    with killable_server() if options.database == "postgres" else nullcontext() as server:
        figures = uvloop.run(_chosen(options, server))
    json.dump({"plan": vars(options), **figures}, sys.stdout, indent=2, ensure_ascii=False)
    print()
    sys.exit(bool(figures["violations"]))


if __name__ == "__main__":
    main()
