"""Who a person is and what they say is in the journal and nowhere else, and leaves it."""

import asyncio
import json
import secrets
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from anyio.from_thread import BlockingPortal

from tests.support.collector import Collector
from tests.support.compose import process_services
from tests.support.stack import Stack

API = "/api/digital-human"
SYLLABLES = [f"{first}{second}" for first in "bdfgklmnprstvz" for second in "aeiou"]
METRICS = ("gateway", "task", "speech", "avatar")

pytestmark = pytest.mark.timeout(300)


def told(stack: Stack) -> Iterator[str]:
    """Each line that any process logged."""
    for lines in stack.logs.values():
        yield from lines


async def metrics(stack: Stack, http: httpx.AsyncClient) -> str:
    """All metrics of all processes."""
    pages = []
    for name in METRICS:
        host = stack.target(name).rpartition(":")[0]
        port = process_services()[name]["environment"][f"{name.upper()}_METRICS_PORT"]
        pages.append((await http.get(f"http://{host}:{port}/metrics")).text)
    return "\n".join(pages)


async def test_people_and_their_words_are_in_the_journal_alone(
    stack: Stack, http: httpx.AsyncClient, collector: Collector, portal: BlockingPortal
) -> None:
    # A name that can be said: spelled out, a random one would be spoken for a quarter of a minute.
    canary = "".join(secrets.choice(SYLLABLES) for _ in range(7))
    room = {"roomId": f"{canary}-room", "streamId": f"{canary}-stream", "userId": f"{canary}@x.org"}
    known: dict[str, Any] = {
        "variables": {"name": f"{canary} of variables"},
        "context": f"The user is {canary}.",
        "greeting": f"Hello, {canary}, {{{{name}}}}.",
        "hotWords": [canary],
        "history": [{"role": "USER", "text": f"I am {canary}."}],
    }
    created = await http.post(f"{API}/create-task", json=room | known)
    task_id = created.raise_for_status().json()["taskId"]
    token = {"userId": f"{canary}@x.org", "roomId": room["roomId"], "streamId": room["streamId"]}
    (await http.get("/api/token", params=token)).raise_for_status()
    trace_id = secrets.token_hex(16)
    question = {"taskId": task_id, "text": f"My name is {canary}. When do you open?"}
    answered = await http.post(
        f"{API}/talk-to-ai",
        json=question,
        headers={"traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-01"},
    )
    reply = answered.raise_for_status().json()["reply"]
    said = await http.post(f"{API}/say", json={"taskId": task_id, "text": f"Bye, {canary}."})
    said.raise_for_status()
    # What goes wrong is told with care, too.
    for path, body in (
        ("create-task", room),
        ("talk-to-ai", {"taskId": task_id, "text": f"{canary} " * 2000}),
        ("say", {"taskId": f"{canary}-task", "text": canary}),
        ("erase-user", {"userId": room["userId"]}),
    ):
        assert (await http.post(f"{API}/{path}", json=body)).is_client_error, path
    (await http.post(f"{API}/stop-task", json={"taskId": task_id})).raise_for_status()

    exported = await http.post(f"{API}/export-user", json={"userId": room["userId"]})
    records = [json.loads(line) for line in exported.text.splitlines()]
    assert records[-1] == {"record": "end", "tasks": 1}
    assert {name: records[0]["call"][name] for name in known} == known
    turns = [each["turn"] for each in records if each["record"] == "turn"]
    assert (question["text"], reply) in [
        (each.get("transcript"), each.get("reply")) for each in turns
    ]

    # All of the trace, so that what follows has something to look at.
    spans = await asyncio.to_thread(
        portal.call,
        collector.until,
        lambda spans: any(each.span.trace_id.hex() == trace_id for each in spans),
    )
    assert canary not in "".join(str(each.span) for each in spans)
    assert task_id in "\n".join(told(stack))
    assert [line for line in told(stack) if canary in line or reply in line] == []
    assert canary not in await metrics(stack, http)

    erased = await http.post(f"{API}/erase-user", json={"userId": room["userId"]})
    assert erased.raise_for_status().json() == {"success": True, "tasks": 1}
    assert canary not in (await http.get(f"{API}/usage")).text
    left = await http.post(f"{API}/export-user", json={"userId": room["userId"]})
    assert left.text.splitlines() == ['{"record":"end","tasks":0}']
