"""What the gateway answers: JSON, events, and problems.

It can be printed: clients have chosen many of the texts.
"""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import httpx

from parley.terminal.escaping import visible_json

Json: TypeAlias = dict[str, Any]


class GatewayError(Exception):
    """The gateway refused, failed or is unreachable; the message says what to do."""

    def __init__(self, message: str, *, reason: str = "", is_outage: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.is_outage = is_outage
        """Whether something is away that comes back by itself."""


class UnreachableError(GatewayError):
    """There is no gateway, or it does not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event of a conversation."""

    name: str
    data: Json


async def events_of(lines: AsyncIterator[str]) -> AsyncIterator[Event]:
    """Yield the events of a stream of server-sent events."""
    name, data = "message", ""
    async for line in lines:
        field, _, value = line.partition(":")
        match field:
            case "event":
                name = value.strip()
            case "data":
                data += value.strip()
            case "" if not line and data:
                yield Event(name=name, data=visible_json(json.loads(data)))
                name, data = "message", ""


def error_of(answer: httpx.Response) -> GatewayError:
    """Return the error that an answer without success stands for."""
    try:
        return problem_error(visible_json(answer.json()))
    except ValueError:
        return GatewayError(
            f"{answer.url} answered {answer.status_code} without a reason. Is that Parley, or "
            "another server or a proxy?"
        )


def problem_error(problem: Json) -> GatewayError:
    """Return the error that a problem stands for."""
    reason = str(problem.get("reason", "UNKNOWN"))
    text = f"{problem.get('title', 'It failed')} ({reason}): {problem.get('detail', '')}"
    if reason == "CREDENTIALS_INVALID":
        text += "\nThe key is what --api-key says, or the first of GATEWAY_API_KEYS."
    if request_id := problem.get("requestId"):
        text += f"\nRequest id: {request_id}; docs/errors.md says what to do about {reason}."
    return GatewayError(text, reason=reason, is_outage=problem.get("recovery") == "OUTAGE")
