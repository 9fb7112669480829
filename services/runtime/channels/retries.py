"""Repeats calls that a peer has answered, but could not serve, as the published policy says.

gRPC itself retries only what was not answered: servers in Python send headers with every error, and
an answer with headers is final for the library.
"""

import asyncio
import json
import math
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import grpc

from services.runtime.failures.errors import answer_of
from services.runtime.failures.reasons import Reason

SERVICE_CONFIG = Path(__file__).with_name("service_config.json")
_JITTER = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How often a call is made, and how long that may take where its caller does not say."""

    pauses_s: tuple[float, ...]
    timeout_s: float


def policies(config: Mapping[str, Any]) -> dict[str, Policy]:
    """Return the policies of a service config by the path of the method."""
    return {
        f"/{name['service']}/{name['method']}": Policy(
            pauses_s=_pauses(each["retryPolicy"]), timeout_s=_seconds(each["timeout"])
        )
        for each in config["methodConfig"]
        if "retryPolicy" in each
        for name in each["name"]
    }


@cache
def published() -> Mapping[str, Policy]:
    """Return the published policies, which each channel asks for."""
    return policies(json.loads(SERVICE_CONFIG.read_text()))


def _pauses(policy: Mapping[str, Any]) -> tuple[float, ...]:
    first_s, longest_s = _seconds(policy["initialBackoff"]), _seconds(policy["maxBackoff"])
    return tuple(
        min(longest_s, first_s * policy["backoffMultiplier"] ** attempt)
        for attempt in range(policy["maxAttempts"] - 1)
    )


def _seconds(text: str) -> float:
    return float(text.removesuffix("s"))


class Retries(grpc.aio.UnaryUnaryClientInterceptor):
    """Makes a call again while its peer answers DEPENDENCY_UNAVAILABLE, within its deadline."""

    def __init__(self) -> None:
        self._policies = published()

    async def intercept_unary_unary(
        self, continuation: Callable[..., Any], client_call_details: Any, request: Any
    ) -> Any:
        """Make the call, and again if that may help."""
        method = client_call_details.method
        policy = self._policies.get(method.decode() if isinstance(method, bytes) else method)
        if policy is None:
            return await continuation(client_call_details, request)
        give_up_at = time.monotonic() + (client_call_details.timeout or policy.timeout_s)
        answer: grpc.aio.AioRpcError | None = None
        for pause_s in (*policy.pauses_s, math.inf):
            try:
                call = await continuation(_until(give_up_at, client_call_details), request)
                await call
            except grpc.aio.AioRpcError as error:
                pause_s *= random.uniform(1 - _JITTER, 1 + _JITTER)
                if answer and error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                    # The caller learns more from what the peer said before.
                    raise answer from None
                if not _may_pass(error) or time.monotonic() + pause_s >= give_up_at:
                    raise
                answer = error
            else:
                return call
            await asyncio.sleep(pause_s)
        raise AssertionError("the last attempt returns or raises")


def _until(give_up_at: float, details: Any) -> Any:
    return details._replace(timeout=give_up_at - time.monotonic())


def _may_pass(error: grpc.aio.AioRpcError) -> bool:
    """Whether the peer has answered, and what it needs was away."""
    told = answer_of(error)
    return told is not None and told.reason is Reason.DEPENDENCY_UNAVAILABLE
