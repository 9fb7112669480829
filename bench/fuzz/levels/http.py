"""Requests that the OpenAPI document allows, and ones that it does not, made by schemathesis."""

import asyncio
import functools
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.core.result import Ok

from bench.fuzz.findings import Findings
from bench.fuzz.levels.connections import reason_of
from bench.fuzz.target import Target

NAME = "http"
SHARE = 0.01
_WITHIN_S = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batch:
    """The cases of one operation that keep, or break, its rules."""

    cases: Any
    count: int


async def attack(target: Target, findings: Findings, *, seed: int, count: int) -> None:
    """Send so many requests; they depend on the seed and the document."""
    document = (await target.http.get("/openapi.json")).text
    for batch in _batches(document, count, random.Random(seed)):
        await asyncio.to_thread(_send, batch, target, findings, seed)


def _batches(document: str, count: int, draw: random.Random) -> Iterator[_Batch]:
    """Yield as much of each kind; where there are more kinds than cases, of some of them."""
    strategies = draw.sample(_strategies(document), len(_strategies(document)))
    each, more = divmod(count, len(strategies))
    for at, strategy in enumerate(strategies):
        if number := each + (at < more):
            yield _Batch(cases=strategy, count=number)


@functools.cache
def _strategies(document: str) -> Sequence[Any]:
    """Return what draws cases that keep the rules of each operation, and cases that break them."""
    found = schemathesis.openapi.from_dict(json.loads(document)).get_all_operations()
    operations = [each.ok() for each in found if isinstance(each, Ok)]
    # One that takes nothing has no rules to break.
    breakable = [each for each in operations if each.body or any(each.iter_parameters())]
    modes = {GenerationMode.POSITIVE: operations, GenerationMode.NEGATIVE: breakable}
    return [each.as_strategy(generation_mode=mode) for mode, some in modes.items() for each in some]


def _send(batch: _Batch, target: Target, findings: Findings, seeded: int) -> None:
    """Send the cases of a batch, one after the other."""
    session = requests.Session()
    session.trust_env = False
    base = f"http://{target.gateway}"

    @seed(seeded)
    @settings(
        max_examples=batch.count,
        phases=[Phase.generate],
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=batch.cases)
    def send(case: Any) -> None:
        number = findings.inputs(NAME)
        _aim(case, target, number)
        given = case.as_transport_kwargs(base_url=base)
        own = {"X-Api-Key": target.api_key, "Prefer": "respond-async"}
        given["headers"] = {**given.get("headers", {}), **own}
        try:
            with session.request(**given, timeout=_WITHIN_S, stream=True) as answer:
                body = next(_beginning(answer), b"")
        except (requests.RequestException, ValueError, UnicodeError) as error:
            findings.note(NAME, type(error).__name__)
            return
        before = findings.violation_count
        findings.judge_http(NAME, number, answer.status_code, body, reason=reason_of(body))
        if findings.violation_count > before:
            findings.violated(NAME, number, case.as_curl_command()[:1_000])

    with session:
        send()


def _aim(case: Any, target: Target, number: int) -> None:
    """Have every other request mean the task that is on air."""
    if number % 2:
        return
    for held in (case.path_parameters, case.query, case.body):
        if isinstance(held, dict) and "taskId" in held:
            held["taskId"] = target.task_id


def _beginning(answer: requests.Response) -> Iterator[bytes]:
    """Yield what there is to read: an event stream goes on."""
    if not answer.headers.get("Content-Type", "").startswith("text/event-stream"):
        yield answer.content
