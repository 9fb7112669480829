"""`python -m bench.fuzz.watch ADDRESS…`: another client, which only asks whether they are alive.

It runs in a process of its own, so that what it measures is not the load. At the end of its input
it prints, as JSON, how long each address has let it wait.
"""

import json
import sys
import threading
import time
from http.client import HTTPConnection, HTTPException
from typing import Any

EVERY_S = 0.02
WITHIN_S = 10.0


def main() -> None:
    """Ask until the input ends."""
    waits: dict[str, list[float]] = {address: [] for address in sys.argv[1:]}
    has_ended = threading.Event()
    askers = [
        threading.Thread(target=_ask, args=(address, held, has_ended))
        for address, held in waits.items()
    ]
    for each in askers:
        each.start()
    sys.stdin.read()
    has_ended.set()
    for each in askers:
        each.join()
    json.dump({address: _figures(held) for address, held in waits.items()}, sys.stdout)


def _ask(address: str, held: list[float], has_ended: threading.Event) -> None:
    place, _, path = address.partition("/")
    while not has_ended.wait(EVERY_S):
        begun = time.perf_counter()
        connection = HTTPConnection(place, timeout=WITHIN_S)
        try:
            connection.request("GET", f"/{path}")
            is_alive = connection.getresponse().status == 200
        except (OSError, HTTPException):
            is_alive = False
        finally:
            connection.close()
        held.append(time.perf_counter() - begun if is_alive else float("inf"))


def _figures(held: list[float]) -> dict[str, Any]:
    answered = sorted(each for each in held if each < float("inf"))
    return {
        "asked": len(held),
        "unanswered": len(held) - len(answered),
        "longest_ms": round(1000 * answered[-1], 1) if answered else None,
        "p99_ms": round(1000 * answered[int(len(answered) * 0.99)], 1) if answered else None,
    }


if __name__ == "__main__":
    main()
