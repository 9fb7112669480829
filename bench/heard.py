"""`python -m bench.heard`: how accurate the heard text of cut-off replies is, as JSON.

All processes run as in docker-compose.yml. Replies in English and Chinese are cut off at moments
throughout their length; each ledger is compared with the engine's recording.
"""

import argparse
import asyncio
import json
import os
import platform
import secrets
import statistics
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

import grpc
import httpx
import psutil

from services.runtime.callers.requests import Metadata
from tests.support.heard import CHINESE, ENGLISH, Reply
from tests.support.interruption import Caller, CutReply, synthesize, transcribe
from tests.support.stack import Stack, running_stack

LAST_CUT_S = {"en": 13.0, "zh": 11.0}
MAX_ESTIMATE_ERROR_MS = 60.0
EVERYTHING = 1 << 30


async def measure(cuts: int) -> dict[str, Any]:
    """Return all figures."""
    started = psutil.getloadavg()[0]
    async with running_stack() as stack, AsyncExitStack() as clients:
        headers = {"Authorization": f"Bearer {stack.api_key}"}
        http = await clients.enter_async_context(
            httpx.AsyncClient(
                base_url=stack.gateway_url, headers=headers, timeout=90, trust_env=False
            )
        )
        engine = await clients.enter_async_context(stack.engine_client(timeout_s=30))
        speech = await clients.enter_async_context(stack.channel("speech"))
        replies = (ENGLISH, CHINESE)
        # The voice caches what it spoke recently, so no cut waits for it.
        for reply in replies:
            await synthesize(speech, _token(stack), reply, size=EVERYTHING)
        made = await asyncio.gather(*(_cut(http, engine, reply, cuts) for reply in replies))
        languages = {
            each[0].reply.language_code: await _judge(speech, _token(stack), each) for each in made
        }
    return {
        "machine": {
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "load_average_before": round(started, 2),
        },
        "languages": languages,
    }


async def _cut(
    http: httpx.AsyncClient,
    engine: httpx.AsyncClient,
    reply: Reply,
    cuts: int,
) -> list[CutReply]:
    last_s = LAST_CUT_S[reply.language_code]
    async with Caller.on_air(http, engine, f"heard-{secrets.token_hex(4)}") as caller:
        return [await caller.cut(reply, after_s=(n + 0.5) / cuts * last_s) for n in range(cuts)]


async def _judge(
    speech: grpc.aio.Channel, token: Metadata, made: Sequence[CutReply]
) -> dict[str, Any]:
    by_samples = [cut.heard - cut.sounded for cut in made]
    by_ear = []
    misheard = []
    for cut in made:
        transcript = await transcribe(speech, token, cut)
        by_ear.append(min((cut.heard - n for n in cut.reply.recognized(transcript)), key=abs))
        if abs(by_ear[-1]) > cut.reply.tolerance:
            misheard.append({"ledger": cut.ledger["heard"], "ear": transcript})
    errors_ms = [cut.estimate_error_ms for cut in made]
    largest = max(made, key=lambda cut: abs(cut.estimate_error_ms)).estimate_error_ms
    tolerance = made[0].reply.tolerance
    return {
        "cuts": len(made),
        "stutters": sum(cut.stutters for cut in made),
        "played_estimate_error_ms": {
            "mean": round(statistics.mean(errors_ms), 1),
            "deviation": round(statistics.pstdev(errors_ms), 1),
            "largest": round(largest, 1),
            "goal": MAX_ESTIMATE_ERROR_MS,
            "met": max(map(abs, errors_ms)) <= MAX_ESTIMATE_ERROR_MS,
        },
        "units_off_by_samples": _verdict(by_samples, tolerance),
        "units_off_by_ear": _verdict(by_ear, tolerance),
        "differences": misheard,
    }


def _verdict(errors: Sequence[int], tolerance: int) -> dict[str, Any]:
    return {
        "each": list(errors),
        "goal": tolerance,
        "within": sum(abs(error) <= tolerance for error in errors),
        "met": max(map(abs, errors)) <= tolerance,
    }


def _token(stack: Stack) -> Metadata:
    return (("authorization", f"Bearer {stack.service_token}"),)


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuts", type=int, default=25, help="cuts per language")
    print(json.dumps(asyncio.run(measure(parser.parse_args().cuts)), indent=2))


if __name__ == "__main__":
    main()
