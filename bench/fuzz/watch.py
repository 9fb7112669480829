"""`python -m bench.fuzz.watch SECONDS BARE ADDRESS…`: another client, which only asks who lives.

It asks each every so many seconds, in a process of its own, so that what it measures is not the
load. At the end of its input it prints, as JSON, how long each address has let it wait, and how
much of that was not the machine: what a bare server let it wait in the same seconds.
"""

import json
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any

WITHIN_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """For an answer, which began at a time; infinite if there was none."""

    begun_s: float
    seconds: float


def main() -> None:
    """Ask until the input ends."""
    every_s = float(sys.argv[1])
    waits: dict[str, list[Wait]] = {address: [] for address in sys.argv[2:]}
    has_ended = threading.Event()
    askers = [
        threading.Thread(target=_ask, args=(address, every_s, held, has_ended))
        for address, held in waits.items()
    ]
    for each in askers:
        each.start()
    sys.stdin.read()
    has_ended.set()
    for each in askers:
        each.join()
    bare, *addresses = waits
    of_machine = longest_by_second(waits[bare])
    # Of itself, the bare server's waits are all the machine's.
    told = {"bare server": figures(waits[bare], of_machine)}
    told |= {address: figures(waits[address], of_machine) for address in addresses}
    json.dump(told, sys.stdout)


def _ask(address: str, every_s: float, held: list[Wait], has_ended: threading.Event) -> None:
    place, _, path = address.partition("/")
    while not has_ended.wait(every_s):
        begun = time.perf_counter()
        connection = HTTPConnection(place, timeout=WITHIN_S)
        try:
            connection.request("GET", f"/{path}")
            is_alive = connection.getresponse().status == 200
        except (OSError, HTTPException):
            is_alive = False
        finally:
            connection.close()
        seconds = time.perf_counter() - begun if is_alive else float("inf")
        held.append(Wait(begun_s=begun, seconds=seconds))


def longest_by_second(waits: Sequence[Wait]) -> Mapping[int, float]:
    """Return the longest wait of each second that it was a part of."""
    longest: dict[int, float] = defaultdict(float)
    for wait in waits:
        if wait.seconds < float("inf"):
            for second in range(int(wait.begun_s), int(wait.begun_s + wait.seconds) + 1):
                longest[second] = max(longest[second], wait.seconds)
    return longest


def figures(held: Sequence[Wait], of_machine: Mapping[int, float]) -> dict[str, Any]:
    """Return what is told of an address; `of_machine`: the longest wait of each second."""
    answered = sorted(each.seconds for each in held if each.seconds < float("inf"))
    own = [
        seconds - of_machine.get(second, 0.0) for second, seconds in longest_by_second(held).items()
    ]
    return {
        "asked": len(held),
        "unanswered": len(held) - len(answered),
        "longest_ms": round(1000 * answered[-1], 1) if answered else None,
        "p99_ms": round(1000 * answered[int(len(answered) * 0.99)], 1) if answered else None,
        "longest_beyond_the_machine_ms": round(1000 * max(own), 1) if own else None,
    }


if __name__ == "__main__":
    main()
