"""Webhooks of a running service: its contract, where it sends, and what a crash leaves to tell."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from digitalhuman.audit.v1 import audit_pb2
from digitalhuman.audit.v1.audit_pb2_grpc import AuditServiceStub
from digitalhuman.task.v1 import task_pb2
from digitalhuman.task.v1.task_pb2_grpc import TaskServiceStub
from digitalhuman.webhooks.v1 import webhooks_pb2 as pb
from digitalhuman.webhooks.v1.webhooks_pb2_grpc import WebhookServiceStub
from services.runtime.callers.caller import Caller, to_metadata
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.task.ports.storage import Storage
from services.task.storage import storage_of
from services.task.webhooks.ports import WebhookStore
from tests.support.avatar_service import scripted_avatar_service
from tests.support.compose import ROOT, free_ports
from tests.support.task import ScriptedCloud, task_service
from tests.support.task_calls import create, create_streaming, error_of, stop
from tests.support.task_machine import Machine
from tests.support.vendor import Answer
from tests.support.webhooks import LOOPBACK, WebhookReceiver, is_signed

ANN = to_metadata(Caller(tenant_id="acme", user_id="ann", actor="ann"))
OPERATOR = to_metadata(Caller(tenant_id="acme", actor="key-1"))
FOREIGN = to_metadata(Caller(tenant_id="other"))


class Client:
    """Stubs of the services in the task process."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.tasks = TaskServiceStub(channel)
        self.webhooks = WebhookServiceStub(channel)
        self.audit = AuditServiceStub(channel)

    async def add(self, url: str, *event_types: str) -> pb.AddWebhookResponse:
        """Add a webhook."""
        return await self.webhooks.AddWebhook(
            pb.AddWebhookRequest(url=url, event_types=event_types)
        )


@asynccontextmanager
async def client_of(*, networks: str = LOOPBACK, **settings: Any) -> AsyncIterator[Client]:
    async with (
        task_service(webhook_networks=networks, **settings) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        yield Client(channel)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with client_of() as opened:
        yield opened


async def test_a_killed_process_leaves_what_the_next_one_tells(
    cloud: ScriptedCloud, tmp_path: Path
) -> None:
    async with (
        scripted_avatar_service(cloud) as (target, _),
        WebhookReceiver.open(gate=asyncio.Event()) as receiver,
    ):
        machine = Machine(target, tmp_path / "tasks.sqlite3", TASK_WEBHOOK_NETWORKS=LOOPBACK)
        async with (
            machine.process() as (process, tasks),
            grpc.aio.insecure_channel(machine.target) as channel,
        ):
            await Client(channel).add(receiver.url, "task.on_air")
            task = await create_streaming(tasks)
            await receiver.until(lambda receiver: len(receiver.offered) == 1)
            process.kill()
            await process.wait()
        assert receiver.gate is not None
        receiver.gate.set()
        async with machine.process():
            [told, *_] = await receiver.until_taken(1)
    assert told["taskId"] == task.task_id
    assert {each["id"] for each in receiver.offered} == {told["id"]}


async def test_what_happens_is_told_and_signed_by_a_secret_that_is_shown_once(
    client: Client,
) -> None:
    async with WebhookReceiver.open() as receiver:
        added = await client.add(receiver.url)
        task = await create_streaming(client.tasks)
        await stop(client.tasks, task.task_id)
        told = await receiver.until_taken(2)
    assert [each["type"] for each in told] == ["task.on_air", "task.ended"]
    assert is_signed(added.secret, receiver.headers[0], receiver.bodies[0])
    listed = await client.webhooks.ListWebhooks(pb.ListWebhooksRequest())
    assert list(listed.webhooks) == [added.webhook]
    assert added.secret not in str(listed)


class FirstSettlementLost:
    """A store of webhooks that is away when the first outcome is to be recorded."""

    def __init__(self, store: WebhookStore) -> None:
        self._store = store
        self.is_lost = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def settle(self, *arguments: Any, **options: Any) -> Any:
        if not self.is_lost.is_set():
            self.is_lost.set()
            raise ServiceError(Reason.DEPENDENCY_UNAVAILABLE, "The database does not answer.")
        return await self._store.settle(*arguments, **options)


async def test_what_is_told_while_the_database_is_away_is_told_once() -> None:
    lost: list[FirstSettlementLost] = []

    @asynccontextmanager
    async def forgetful(*arguments: Any) -> AsyncIterator[Storage]:
        async with storage_of(*arguments) as storage:
            lost.append(FirstSettlementLost(storage.webhooks))
            yield replace(storage, webhooks=lost[0])

    async with (
        client_of(open_storage=forgetful) as client,
        WebhookReceiver.open() as receiver,
    ):
        await client.add(receiver.url)
        task = await create_streaming(client.tasks)
        await lost[0].is_lost.wait()
        await stop(client.tasks, task.task_id)
        await receiver.until(lambda receiver: receiver.taken[-1]["type"] == "task.ended")
    assert [each["type"] for each in receiver.taken] == ["task.on_air", "task.ended"]


async def test_a_webhook_belongs_to_its_tenant(client: Client) -> None:
    added = await client.webhooks.AddWebhook(
        pb.AddWebhookRequest(url="https://example.com/hook"), metadata=OPERATOR
    )
    webhook_id = added.webhook.webhook_id
    for call in (
        client.webhooks.RemoveWebhook(
            pb.RemoveWebhookRequest(webhook_id=webhook_id), metadata=FOREIGN
        ),
        client.webhooks.RotateWebhookKey(
            pb.RotateWebhookKeyRequest(webhook_id=webhook_id), metadata=FOREIGN
        ),
        client.webhooks.TestWebhook(pb.TestWebhookRequest(webhook_id=webhook_id), metadata=FOREIGN),
        client.webhooks.ListDeadLetters(
            pb.ListDeadLettersRequest(webhook_id=webhook_id), metadata=FOREIGN
        ),
        client.webhooks.ReplayDeadLetters(
            pb.ReplayDeadLettersRequest(webhook_id=webhook_id), metadata=FOREIGN
        ),
    ):
        assert (await error_of(call)).reason is Reason.WEBHOOK_NOT_FOUND
    request = pb.ListWebhooksRequest()
    assert not (await client.webhooks.ListWebhooks(request, metadata=FOREIGN)).webhooks
    assert (await client.webhooks.ListWebhooks(request, metadata=OPERATOR)).webhooks


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("http://example.com/hook", "must begin with https://"),
        ("ftp://127.0.0.1/hook", "must begin with https://"),
        ("https://user:word@example.com/", "must not hold a user"),
        ("https://example.com/#part", "must not have a fragment"),
        ("https://10.1.2.3/hook", "must lead to a public address"),
        ("https://[::ffff:169.254.169.254]/hook", "must lead to a public address"),
        ("https:///hook", "must be like"),
        ("https://example.com:99999/", "must be like"),
        ("https://exa mple.com/", "must be visible ASCII"),
        ("https://exa\u2028mple.com/", "must be visible ASCII"),
    ],
)
async def test_where_a_webhook_may_not_lead(client: Client, url: str, rule: str) -> None:
    error = await error_of(client.add(url))
    assert (error.reason, error.violations[0].field) == (Reason.INVALID_REQUEST, "url")
    assert rule in error.message


async def test_loopback_is_private_unless_a_setting_allows_it() -> None:
    async with client_of(networks="") as client, WebhookReceiver.open() as receiver:
        error = await error_of(client.add(receiver.url))
        assert "TASK_WEBHOOK_NETWORKS" in error.message


async def tried(client: Client, added: pb.AddWebhookResponse) -> str:
    """Return why a test of a webhook failed."""
    request = pb.TestWebhookRequest(webhook_id=added.webhook.webhook_id)
    return (await client.webhooks.TestWebhook(request)).failure


async def test_a_test_tells_what_the_receiver_answers(client: Client) -> None:
    async with WebhookReceiver.open() as receiver:
        added = await client.add(receiver.url, "quota.near")
        assert await tried(client, added) == ""
        assert receiver.taken[0]["type"] == "webhook.test"
        receiver.statuses.extend((500, 307))
        assert await tried(client, added) == "it answered HTTP 500"
        assert await tried(client, added) == "it answered HTTP 307"
        assert len(receiver.requests) == 3
    nowhere = await client.add("http://127.0.0.1:1/hook", "quota.near")
    assert await tried(client, nowhere) == "it cannot be reached: ConnectError"


async def test_an_endless_answer_is_cut_off(client: Client) -> None:
    is_cut = asyncio.Event()

    async def pour(answer: Answer) -> None:
        await answer.begin()
        try:
            while True:
                await answer.piece(bytes(1024))
        except ConnectionError:
            is_cut.set()

    async with WebhookReceiver.open(answer=pour) as receiver:
        added = await client.add(receiver.url)
        assert await tried(client, added) == ""
        await is_cut.wait()


async def test_secrets_are_encrypted_where_there_is_a_key_for_it(tmp_path: Path) -> None:
    database = tmp_path / "tasks.sqlite3"
    first, second = ("A" * 43 + "=", "B" * 43 + "=")
    async with WebhookReceiver.open() as receiver:
        async with client_of(database=database, encryption_keys=first) as client:
            added = await client.add(receiver.url)
        async with client_of(database=database, encryption_keys=f"{second},{first}") as client:
            assert await tried(client, added) == ""
        async with client_of(database=database, encryption_keys=second) as client:
            assert "TASK_ENCRYPTION_KEYS" in await tried(client, added)
    assert is_signed(added.secret, receiver.headers[0], receiver.bodies[0])
    assert b"fernet:" in database.read_bytes()
    assert b"plain:" not in database.read_bytes()


async def test_former_keys_sign_for_as_long_as_the_overlap(client: Client) -> None:
    async with WebhookReceiver.open() as receiver:
        added = await client.add(receiver.url)
        request = pb.RotateWebhookKeyRequest(webhook_id=added.webhook.webhook_id)
        rotated = await client.webhooks.RotateWebhookKey(request)
        await tried(client, added)
        assert len(rotated.webhook.keys) == 2
        request.overlap.FromTimedelta(timedelta(0))
        last = await client.webhooks.RotateWebhookKey(request)
        await tried(client, added)
    secrets = (added.secret, rotated.secret, last.secret)
    signed = [
        [is_signed(secret, headers, body) for secret in secrets]
        for headers, body in zip(receiver.headers, receiver.bodies, strict=True)
    ]
    assert signed == [[True, True, False], [False, False, True]]


async def test_the_audit_log_says_who_did_what_in_which_request(client: Client) -> None:
    metadata = (*ANN, ("x-request-id", "request-1"))
    request = task_pb2.CreateTaskRequest(room_id="room", stream_id="stream")
    task_id = (await client.tasks.CreateTask(request, metadata=metadata)).task.task_id
    facts = task_pb2.CallFacts(context="On the order page.")
    await client.tasks.UpdateTask(
        task_pb2.UpdateTaskRequest(task_id=task_id, facts=facts), metadata=metadata
    )
    await client.tasks.StopTask(task_pb2.StopTaskRequest(task_id=task_id), metadata=metadata)
    # Nothing happens a second time.
    await client.tasks.StopTask(task_pb2.StopTaskRequest(task_id=task_id), metadata=metadata)
    for _ in range(2):
        await client.tasks.DeleteConversation(
            task_pb2.DeleteConversationRequest(task_id=task_id), metadata=metadata
        )
    added = await client.webhooks.AddWebhook(
        pb.AddWebhookRequest(url="https://example.com/"), metadata=OPERATOR
    )
    await client.audit.NoteUserExport(audit_pb2.NoteUserExportRequest(), metadata=OPERATOR)
    wanted = audit_pb2.ListAuditEntriesRequest(page_size=4)
    first = await client.audit.ListAuditEntries(wanted, metadata=OPERATOR)
    wanted.page_token = first.next_page_token
    second = await client.audit.ListAuditEntries(wanted, metadata=OPERATOR)
    assert not second.next_page_token
    entries = [*first.entries, *second.entries]
    assert [(each.action, each.subject) for each in entries] == [
        ("user.exported", ""),
        ("webhook.added", added.webhook.webhook_id),
        ("conversation.erased", task_id),
        ("task.stopped", task_id),
        ("task.updated", task_id),
        ("task.created", task_id),
    ]
    assert {(each.actor, each.user_id) for each in entries[:2]} == {("key-1", "")}
    assert {(each.actor, each.user_id, each.request_id) for each in entries[2:]} == {
        ("ann", "ann", "request-1")
    }
    mine = audit_pb2.ListAuditEntriesRequest(action="task.created", actor="ann", subject=task_id)
    assert len((await client.audit.ListAuditEntries(mine, metadata=OPERATOR)).entries) == 1
    assert not (await client.audit.ListAuditEntries(mine, metadata=FOREIGN)).entries
    wanted.page_token = "no token"
    error = await error_of(client.audit.ListAuditEntries(wanted))
    assert error.violations[0].field == "page_token"


async def test_a_removed_webhook_is_told_nothing_more(client: Client) -> None:
    async with AsyncExitStack() as stack:
        gone = await stack.enter_async_context(WebhookReceiver.open())
        kept = await stack.enter_async_context(WebhookReceiver.open())
        added = await client.add(gone.url, "task.on_air")
        await client.add(kept.url, "task.on_air")
        await client.webhooks.RemoveWebhook(
            pb.RemoveWebhookRequest(webhook_id=added.webhook.webhook_id)
        )
        await create(client.tasks)
        await kept.until_taken(1)
        assert not gone.requests


async def test_the_example_takes_what_is_signed_once_and_nothing_else(client: Client) -> None:
    [port] = free_ports(1)
    url = f"http://127.0.0.1:{port}/"
    added = await client.add(url, "task.on_air")
    example = await asyncio.create_subprocess_exec(
        sys.executable,
        str(ROOT / "examples" / "webhook_receiver.py"),
        port,
        env={**os.environ, "WEBHOOK_SECRET": added.secret},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert example.stdout is not None
        assert (await example.stdout.readline()).decode().strip() == url
        assert await tried(client, added) == ""
        assert (await example.stdout.readline()).startswith(b"webhook.test None")
        task = await create_streaming(client.tasks)
        assert (await example.stdout.readline()).startswith(f"task.on_air {task.task_id}".encode())
        async with httpx.AsyncClient(timeout=30) as stranger:
            headers = {"webhook-id": "evt", "webhook-timestamp": "1", "webhook-signature": "v1,x"}
            for told in (headers, {**headers, "webhook-timestamp": "soon"}, {}):
                answer = await stranger.post(url, headers=told, content=b"{}")
                assert answer.status_code == 401
    finally:
        example.kill()
        await example.wait()
