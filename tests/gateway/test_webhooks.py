"""Webhooks and the audit log over HTTP and at the command line, with a real task service behind."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.gateway_rig import RunningGateway, running_gateway
from tests.support.gateway_script import SERVICE_TOKEN
from tests.support.task import task_service
from tests.support.webhooks import LOOPBACK, WebhookReceiver, is_signed

API = "/api/digital-human"
KEY = "key-of-the-operator"


@pytest.fixture
async def real() -> AsyncIterator[RunningGateway]:
    async with (
        task_service(
            service_token=SERVICE_TOKEN, sweep_interval_s=3600, webhook_networks=LOOPBACK
        ) as address,
        running_gateway(task_target=address, keys=(KEY,)) as gateway,
    ):
        gateway.client.headers["Authorization"] = f"Bearer {KEY}"
        yield gateway


async def parley(gateway: RunningGateway, *words: str) -> tuple[int, str]:
    """Run a command against a gateway; return its exit code and what it said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "parley", *words, "--url", gateway.url, "--api-key", KEY),
        env={**os.environ, "COLUMNS": "250", "TERM": "dumb"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


async def test_a_webhook_is_added_tried_out_and_removed(real: RunningGateway) -> None:
    async with WebhookReceiver.open() as receiver:
        body = {"url": receiver.url, "eventTypes": ["task.ended"], "description": "billing"}
        added = await real.client.post(f"{API}/webhooks", json=body)
        assert added.status_code == 201, added.text
        webhook, secret = added.json()["webhook"], added.json()["secret"]
        path = f"{API}/webhooks/{webhook['webhookId']}"
        assert (await real.client.post(f"{path}/test")).json() == {
            "success": True,
            "delivered": True,
        }
        assert is_signed(secret, receiver.headers[0], receiver.bodies[0])
        task_id = await real.create()
        await real.client.post(f"{API}/stop-task", json={"taskId": task_id})
        assert (await receiver.until_taken(2))[1]["taskId"] == task_id
        rotated = (await real.client.post(f"{path}/rotate-key", json={"overlap": 60})).json()
        assert rotated["secret"] != secret
        assert len(rotated["webhook"]["keys"]) == 2
        letters = (await real.client.get(f"{path}/dead-letters")).json()
        assert letters == {"success": True, "deadLetters": []}
        replayed = await real.client.post(f"{path}/dead-letters/replay", json={})
        assert replayed.json() == {"success": True, "replayed": 0}
    listed = await real.client.get(f"{API}/webhooks")
    assert [each["description"] for each in listed.json()["webhooks"]] == ["billing"]
    assert secret not in listed.text
    assert (await real.client.delete(path)).json() == {"success": True}
    again = await real.client.delete(path)
    assert (again.status_code, again.json()["reason"]) == (404, "WEBHOOK_NOT_FOUND")
    entries = (await real.client.get(f"{API}/audit", params={"pageSize": 100})).json()["entries"]
    assert [each["action"] for each in entries] == [
        "webhook.removed",
        "webhook.dead_letters_replayed",
        "webhook.key_rotated",
        "task.stopped",
        "task.created",
        "webhook.added",
    ]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "url"),
        ({"url": "https://"}, "url"),
        ({"url": "http://example.com"}, "url"),
        ({"url": "https://example.com/" + "a" * 2048}, "url"),
        ({"url": "https://example.com", "eventTypes": ["task.started"]}, "eventTypes"),
        ({"url": "https://example.com", "eventTypes": ["task.ended"] * 2}, "eventTypes"),
        ({"url": "https://example.com", "description": "d" * 257}, "description"),
    ],
)
async def test_a_webhook_that_breaks_a_rule_is_refused(
    real: RunningGateway, body: dict[str, Any], field: str
) -> None:
    answer = await real.client.post(f"{API}/webhooks", json=body)
    assert (answer.status_code, answer.json()["reason"]) == (400, "INVALID_REQUEST")
    assert [each["field"] for each in answer.json()["violations"]] == [field]


async def test_webhooks_at_the_command_line(real: RunningGateway) -> None:
    async with WebhookReceiver.open() as receiver:
        code, said = await parley(real, "webhooks", "add", receiver.url, "--event", "task.ended")
        assert code == 0, said
        words = dict(line.split(maxsplit=1) for line in said.splitlines())
        webhook_id, secret = words["Webhook:"], words["Secret:"]
        receiver.statuses.append(500)
        code, said = await parley(real, "webhooks", "test", webhook_id)
        assert (code, said) == (1, "Not delivered: it answered HTTP 500.\n")
        assert is_signed(secret, receiver.headers[0], receiver.bodies[0])
    _, said = await parley(real, "webhooks", "list")
    assert webhook_id in said
    assert receiver.url in said
    assert secret not in said
    code, said = await parley(real, "webhooks", "dead-letters", webhook_id, "--replay")
    assert (code, said) == (0, "0 to be delivered anew\n")
    _, said = await parley(real, "audit", "--action", "webhook.added", "--limit", "1")
    assert webhook_id in said
    assert "replayed" not in said
