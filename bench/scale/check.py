"""`python -m bench.scale.check`: one storm, simulated and through the running services, as JSON.

The services run as shipped in front of a cloud whose avatars are on air at once, so the figures of
both should agree but for what the services themselves take.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence

import httpx
import uvloop

from bench.conversation.stack import Shape, running_stack
from bench.scale.cloud import StartTime
from bench.scale.figures import Figures, storm_figures
from bench.scale.storms import Storm, run
from bench.scale.users import Experience, Refusal
from bench.scale.visits import Visit, burst
from services.runtime.failures.reasons import Reason

AT_ONCE = StartTime(median_s=0.001, p99_s=0.002)
COMPARED = ("users", "on_air_s", "refused_at_first_share", "most_refusals_of_one_user", "told")


async def measured(visits: Sequence[Visit]) -> Figures:
    """Return the figures of a storm through the running services."""
    async with running_stack(Shape()) as stack:
        # The first create waits for the catalogue, and the connections to be open.
        await stack.create_task("first")
        began = time.monotonic()
        # Users share no connections.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        async with httpx.AsyncClient(timeout=90, limits=limits, trust_env=False) as http:
            experiences = await asyncio.gather(
                *(_visit(http, stack.gateway_url, visit, began=began) for visit in visits)
            )
    return storm_figures(experiences)


async def _visit(
    http: httpx.AsyncClient, gateway_url: str, visit: Visit, *, began: float
) -> Experience:
    experience = Experience(visit=visit)
    at = began + visit.at
    await asyncio.sleep(at - time.monotonic())
    while True:
        response = await http.post(
            f"{gateway_url}/api/digital-human/create-task",
            json={"roomId": "bench", "streamId": visit.caller, "lang": "en", "greeting": ""},
            headers={"Idempotency-Key": visit.caller},
        )
        if response.is_success:
            experience.on_air_s = time.monotonic() - at
            return experience
        refusal = _refusal(response)
        experience.refusals.append(refusal)
        if refusal.retry_after_s is None:
            return experience
        await asyncio.sleep(refusal.retry_after_s)


def _refusal(response: httpx.Response) -> Refusal:
    wait = response.headers.get("Retry-After")
    return Refusal(
        reason=Reason(response.json()["reason"]), retry_after_s=int(wait) if wait else None
    )


def main() -> None:
    """Measure, simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=15.0, help="within which they come")
    options = parser.parse_args()
    visits = burst(options.users, seconds=options.seconds)
    storm = Storm(name="burst", visits=visits)
    both = {
        "simulated": run(storm, start=AT_ONCE, seed=1).figures(),
        "measured": uvloop.run(measured(visits)),
    }
    told = {way: {name: figures[name] for name in COMPARED} for way, figures in both.items()}
    json.dump(told, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
