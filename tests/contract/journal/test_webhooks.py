"""Webhooks on each backend: what they are told, in which order, by whom, and what they are not."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from ipaddress import ip_network

import pytest

from services.runtime.callers.caller import Caller, acting_for
from services.runtime.failures.errors import ServiceError, to_status
from services.runtime.failures.reasons import Reason
from services.runtime.network.public_network import PublicNetwork
from services.runtime.security.vault import Vault
from services.task.domain.audit import Action, Deed, deed
from services.task.domain.conversation import ReplyUpdated, TurnClosed, TurnStarted
from services.task.domain.usage import Budget, Period
from services.task.jobs import Jobs
from services.task.lifecycle.heartbeat import kept_alive
from services.task.ports.journal import Journal
from services.task.ports.replicas import Replica
from services.task.ports.storage import Storage
from services.task.webhooks.courier import courier_to
from services.task.webhooks.deliverer import Backoff, Deliverer
from services.task.webhooks.ports import NEWS
from services.task.webhooks.signature import new_key
from services.task.webhooks.webhook import (
    GIVE_UP_AFTER,
    Delivery,
    EventType,
    Failed,
    StoredKey,
    Webhook,
)
from tests.support.journal import (
    GRACE,
    NOW,
    UNLIMITED,
    ExpireLeases,
    OpenStorage,
    add,
    end,
    event,
    put_on_air,
    task,
)
from tests.support.task import ManualClock
from tests.support.webhooks import LOOPBACK, WebhookReceiver, is_signed

HASTE = Backoff(first=timedelta(milliseconds=20), longest=timedelta(milliseconds=50))
VAULT = Vault(())


def done() -> Deed:
    return deed(Action.WEBHOOK_ADDED, "webhook")


async def add_webhook(
    storage: Storage,
    name: str,
    *,
    url: str = "http://nowhere.invalid",
    tenant_id: str = "default",
    event_types: tuple[EventType, ...] = (),
) -> str:
    """Add a webhook; return its secret."""
    key = new_key()
    webhook = Webhook(
        webhook_id=name, tenant_id=tenant_id, url=url, event_types=event_types, create_time=NOW
    )
    stored = StoredKey(key_id=f"key of {name}", secret=VAULT.seal(key.secret), create_time=NOW)
    await storage.webhooks.add(webhook, stored, done())
    return key.text


@asynccontextmanager
async def delivering(
    storage: Storage, clock: ManualClock, replica_id: str = "replica", *, timeout_s: float = 10.0
) -> AsyncIterator[None]:
    """Deliver as one replica does."""
    network = PublicNetwork([ip_network(LOOPBACK)])
    async with (
        kept_alive(storage.journal.replicas, Replica(replica_id=replica_id, address=replica_id)),
        courier_to(network, VAULT, clock, timeout_s=timeout_s) as courier,
        Jobs() as jobs,
    ):
        deliverer = Deliverer(
            replica_id=replica_id,
            store=storage.webhooks,
            courier=courier,
            jobs=jobs,
            backoff=HASTE,
        )
        with storage.notifier.watching(NEWS) as watch:
            jobs.begin(deliverer.run(watch.wait), name="webhooks")
            yield


async def take(storage: Storage, name: str, replica_id: str = "replica") -> Sequence[Delivery]:
    """Take what is due."""
    found = await storage.webhooks.take(name, replica_id, limit=10)
    assert found is not None
    return found[1]


def turn(first: int, turn_id: int, closed: TurnClosed) -> list:  # type: ignore[type-arg]
    """Return the events of a turn, from a sequence on."""
    started = TurnStarted(origin=1, user_text=f"Question {turn_id}?", language_code="en")
    return [
        event(first, turn_id, started),
        event(first + 1, turn_id, ReplyUpdated(delta="Hi.")),
        event(first + 2, turn_id, closed),
    ]


def closed(heard: str = "Hi.", *, is_interrupted: bool = False, failure: bytes = b"") -> TurnClosed:
    return TurnClosed(
        reply_text="Hi.", heard_text=heard, is_interrupted=is_interrupted, failure=failure
    )


async def talk(journal: Journal, task_id: str, turns: int) -> None:
    """Have turns finish in a task."""
    for number in range(turns):
        events = turn(3 * number + 1, number + 1, closed())
        await journal.conversations.append(task_id, events, closing_grace=GRACE)


async def test_a_task_is_told_from_its_beginning_to_its_end_in_order(
    storage: Storage, clock: ManualClock
) -> None:
    async with WebhookReceiver.open() as receiver, delivering(storage, clock):
        secret = await add_webhook(storage, "w", url=receiver.url)
        task_id = (await add(storage.journal, 1, user_id="ann")).task_id
        await put_on_air(storage.journal, task_id)
        failure = ServiceError(Reason.CHAT_UNAVAILABLE, "The model is away.")
        for events in (
            turn(1, 1, closed()),
            turn(4, 2, closed("H", is_interrupted=True)),
            turn(7, 3, closed("", failure=to_status(failure).SerializeToString())),
        ):
            await storage.journal.conversations.append(task_id, events, closing_grace=GRACE)
        await end(storage.journal, task_id)
        told = await receiver.until_taken(6)
    by_type = {each["type"]: each for each in told}
    assert [each["type"] for each in told[:3]] == [
        "task.on_air",
        "turn.finished",
        "turn.interrupted",
    ]
    assert {each["type"] for each in told[3:5]} == {"turn.failed", "provider.failed"}
    assert told[5]["type"] == "task.ended"
    assert {each["taskId"] for each in told} == {task_id}
    assert by_type["turn.interrupted"]["data"]["turn"]["heardText"] == "H"
    assert by_type["turn.finished"]["data"]["turn"]["userText"] == "Question 1?"
    assert by_type["provider.failed"]["data"]["turn"]["failure"]["reason"] == "CHAT_UNAVAILABLE"
    ended = by_type["task.ended"]["data"]
    assert (ended["task"]["stopReason"], ended["task"]["userId"]) == ("REQUESTED", "ann")
    assert ended["usage"]["turns"] == 3
    assert len({each["id"] for each in told}) == 6
    for headers, body in zip(receiver.headers, receiver.bodies, strict=True):
        assert is_signed(secret, headers, body)
        assert headers["webhook-key-id"] == "key of w"


async def test_what_is_refused_is_told_again_under_its_id_before_what_follows(
    storage: Storage, clock: ManualClock
) -> None:
    async with WebhookReceiver.open() as receiver, delivering(storage, clock):
        receiver.statuses.extend((500, 302, 429))
        await add_webhook(storage, "w", url=receiver.url, event_types=(EventType.TURN_FINISHED,))
        task_id = (await add(storage.journal, 1)).task_id
        await talk(storage.journal, task_id, 3)
        # What SQLite calls the present does not pass by itself.
        while len(receiver.taken) < 3:
            clock.advance(0.05)
            await asyncio.sleep(0.01)
    turns = [each["data"]["turn"]["turnId"] for each in receiver.taken]
    assert turns == [1, 2, 3]
    assert [each["id"] for each in receiver.offered[:4]] == [receiver.taken[0]["id"]] * 4


async def test_a_webhook_that_answers_nobody_delays_no_other(
    storage: Storage, clock: ManualClock
) -> None:
    async with (
        WebhookReceiver.open(gate=asyncio.Event()) as slow,
        WebhookReceiver.open() as quick,
        delivering(storage, clock),
    ):
        await add_webhook(storage, "slow", url=slow.url)
        await add_webhook(storage, "quick", url=quick.url)
        for number in range(12):
            task_id = (await add(storage.journal, number)).task_id
            await talk(storage.journal, task_id, 2)
        assert len(await quick.until_taken(24)) == 24
        await slow.until(lambda slow: len(slow.offered) == 4)
        assert not slow.taken


async def test_only_the_webhooks_of_a_tenant_are_told_of_its_tasks(
    storage: Storage, clock: ManualClock
) -> None:
    async with (
        WebhookReceiver.open() as own,
        WebhookReceiver.open() as foreign,
        delivering(storage, clock),
    ):
        await add_webhook(storage, "own", url=own.url, tenant_id="acme")
        await add_webhook(storage, "foreign", url=foreign.url, tenant_id="other")
        for number, tenant_id in ((1, "acme"), (2, "other"), (3, "default")):
            with acting_for(Caller(tenant_id=tenant_id)):
                task_id = (await add(storage.journal, number, tenant_id=tenant_id)).task_id
                await talk(storage.journal, task_id, 2)
        await own.until_taken(2)
        await foreign.until_taken(2)
    assert {(each["tenantId"], each["taskId"]) for each in own.taken} == {("acme", task(1).task_id)}
    assert {each["taskId"] for each in foreign.taken} == {task(2).task_id}


async def test_nobody_has_the_webhook_of_another_tenant(storage: Storage) -> None:
    await add_webhook(storage, "w", tenant_id="acme")
    store = storage.webhooks
    key = StoredKey(key_id="k", secret=b"", create_time=NOW)
    for call in (
        store.get("other", "w"),
        store.remove("other", "w", done()),
        store.add_key("other", "w", key, until=NOW, deed=done()),
        store.dead_letters("other", "w", after=None, size=1),
        store.replay("other", "w", (), done()),
    ):
        with pytest.raises(ServiceError) as caught:
            await call
        assert caught.value.reason is Reason.WEBHOOK_NOT_FOUND
    assert await store.of_tenant("other") == []
    assert (await store.get("acme", "w")).webhook.tenant_id == "acme"


async def test_what_cannot_be_delivered_for_a_day_is_a_dead_letter_until_it_is_replayed(
    storage: Storage,
) -> None:
    await add_webhook(storage, "w", event_types=(EventType.TURN_FINISHED,))
    task_id = (await add(storage.journal, 1)).task_id
    await talk(storage.journal, task_id, 2)
    [first] = await take(storage, "w")
    failed = Failed(delivery=first, failure="it answered HTTP 500", pause=GIVE_UP_AFTER * 2)
    settle = storage.webhooks.settle
    assert await settle("replica", delivered=[], failed=[failed]) == [failed]
    [second] = await take(storage, "w")
    await settle("replica", delivered=[second], failed=[])
    [letter] = await storage.webhooks.dead_letters("default", "w", after=None, size=10)
    assert (letter.event_id, letter.attempts) == (first.event_id, 1)
    assert letter.failure == "it answered HTTP 500"
    assert await storage.webhooks.replay("default", "w", ["unknown"], done()) == 0
    assert await storage.webhooks.replay("default", "w", [letter.event_id], done()) == 1
    [replayed] = await take(storage, "w")
    assert (replayed.event_id, replayed.subject) == (first.event_id, first.subject)
    assert not await storage.webhooks.dead_letters("default", "w", after=None, size=10)


async def test_what_waits_to_be_tried_again_holds_back_its_task_alone(storage: Storage) -> None:
    await add_webhook(storage, "w", event_types=(EventType.TURN_FINISHED,))
    ids = [(await add(storage.journal, number)).task_id for number in (1, 2)]
    for task_id in ids:
        await talk(storage.journal, task_id, 2)
    taken = {each.task_id: each for each in await take(storage, "w")}
    failed = Failed(delivery=taken[ids[0]], failure="it failed", pause=timedelta(hours=1))
    await storage.webhooks.settle("replica", delivered=[taken[ids[1]]], failed=[failed])
    assert [each.task_id for each in await take(storage, "w")] == [ids[1]]
    # Nor does what comes later overtake it.
    events = turn(7, 3, closed())
    await storage.journal.conversations.append(ids[0], events, closing_grace=GRACE)
    assert [each.task_id for each in await take(storage, "w")] == [ids[1]]


async def test_what_a_replica_has_taken_is_left_to_it_while_it_lives(
    storage: Storage, expire_leases: ExpireLeases
) -> None:
    for name in ("one", "other"):
        await storage.journal.replicas.keep(Replica(replica_id=name, address=name))
    await add_webhook(storage, "w", event_types=(EventType.TURN_FINISHED,))
    task_id = (await add(storage.journal, 1)).task_id
    await talk(storage.journal, task_id, 2)
    [first] = await take(storage, "w", "one")
    assert not await take(storage, "w", "other")
    assert not await storage.webhooks.due("other") or not await take(storage, "w", "other")
    await expire_leases()
    await storage.journal.replicas.keep(Replica(replica_id="other", address="other"))
    assert await take(storage, "w", "other") == [first]
    # The one that was taken for dead has lost its say.
    await storage.webhooks.settle("one", delivered=[first], failed=[])
    assert await take(storage, "w", "other") == [first]


async def test_what_has_been_erased_is_not_told(storage: Storage) -> None:
    await add_webhook(storage, "w")
    task_id = (await add(storage.journal, 1)).task_id
    await put_on_air(storage.journal, task_id)
    await talk(storage.journal, task_id, 1)
    await end(storage.journal, task_id)
    while await storage.journal.erasure.erase(task_id):
        pass
    told = []
    for _ in range(3):
        taken = await take(storage, "w")
        told += [each.event_type for each in taken]
        await storage.webhooks.settle("replica", delivered=taken, failed=[])
    assert told == [EventType.TASK_ON_AIR, EventType.TASK_ENDED]


async def test_a_user_who_has_nearly_used_up_a_budget_is_told_of_once(
    storage: Storage, clock: ManualClock
) -> None:
    await add_webhook(storage, "w", event_types=(EventType.QUOTA_NEAR,))
    budget = Budget(user_seconds=1000, period=Period.MONTH)
    quota = type(UNLIMITED)(running=1000, running_per_user=1000, budget=budget)
    for number, used_s in ((1, 850), (2, 1), (3, 1)):
        made = task(number, user_id="ann", create_time=clock())
        await storage.journal.tasks.add(made, None, quota)
        await put_on_air(storage.journal, made.task_id)
        await end(storage.journal, made.task_id, at=NOW + timedelta(seconds=used_s))
    [near] = await take(storage, "w")
    assert (near.subject.used, near.subject.limit) == (850, 1000)  # type: ignore[union-attr]
    await storage.webhooks.settle("replica", delivered=[near], failed=[])
    assert not await take(storage, "w")


async def test_a_new_key_signs_beside_the_former_ones_until_these_expire(
    storage: Storage, clock: ManualClock
) -> None:
    async with WebhookReceiver.open() as receiver, delivering(storage, clock):
        former = await add_webhook(
            storage, "w", url=receiver.url, event_types=(EventType.TURN_FINISHED,)
        )
        new = new_key()
        stored = StoredKey(
            key_id=new.key_id, secret=VAULT.seal(new.secret), create_time=NOW + timedelta(seconds=1)
        )
        until = NOW + timedelta(days=36500)
        await storage.webhooks.add_key("default", "w", stored, until=until, deed=done())
        task_id = (await add(storage.journal, 1)).task_id
        await talk(storage.journal, task_id, 1)
        await receiver.until_taken(1)
        await storage.webhooks.add_key("default", "w", stored_of(new_key()), until=NOW, deed=done())
        events = turn(4, 2, closed())
        await storage.journal.conversations.append(task_id, events, closing_grace=GRACE)
        await receiver.until_taken(2)
    both, last = zip(receiver.headers, receiver.bodies, strict=True)
    assert is_signed(former, *both)
    assert is_signed(new.text, *both)
    assert both[0]["webhook-key-id"] == f"{new.key_id} key of w"
    assert not is_signed(former, *last)
    assert not is_signed(new.text, *last)


def stored_of(key) -> StoredKey:  # type: ignore[no-untyped-def]
    return StoredKey(
        key_id=key.key_id, secret=VAULT.seal(key.secret), create_time=NOW + timedelta(seconds=2)
    )


async def test_deliveries_are_those_of_the_transaction_that_wrote_the_event(
    storage: Storage,
) -> None:
    await add_webhook(storage, "w")
    task_id = (await add(storage.journal, 1)).task_id
    with pytest.raises(ServiceError):
        await storage.journal.conversations.append(
            task_id, turn(5, 1, closed()), closing_grace=GRACE
        )
    assert not await take(storage, "w")
    for _ in range(2):
        # The same events again are none.
        await storage.journal.conversations.append(
            task_id, turn(1, 1, closed()), closing_grace=GRACE
        )
    [only] = await take(storage, "w")
    assert only.event_type is EventType.TURN_FINISHED


async def test_no_more_webhooks_than_allowed(storage: Storage) -> None:
    outcomes = await asyncio.gather(
        *(add_webhook(storage, f"w{number}") for number in range(25)), return_exceptions=True
    )
    refused = [each.reason for each in outcomes if isinstance(each, ServiceError)]
    assert refused == [Reason.WEBHOOK_LIMIT_REACHED] * 5
    with acting_for(Caller(tenant_id="other")):
        await add_webhook(storage, "another", tenant_id="other")


async def test_two_replicas_tell_each_event_once_and_in_order(
    request: pytest.FixtureRequest, open_storage: OpenStorage, clock: ManualClock
) -> None:
    replicas = 1 if request.node.callspec.params["open_storage"] == "sqlite" else 2
    async with WebhookReceiver.open() as receiver, AsyncExitStack() as stack:
        storages = [await stack.enter_async_context(open_storage()) for _ in range(replicas)]
        for number, each in enumerate(storages):
            await stack.enter_async_context(delivering(each, clock, f"replica-{number}"))
        await add_webhook(storages[0], "w", url=receiver.url)
        ids = [(await add(storages[0].journal, number)).task_id for number in range(6)]
        await asyncio.gather(
            *(
                talk(storages[number % replicas].journal, task_id, 5)
                for number, task_id in enumerate(ids)
            )
        )
        told = await receiver.until_taken(30)
    for task_id in ids:
        turns = [each["data"]["turn"]["turnId"] for each in told if each["taskId"] == task_id]
        assert turns == [1, 2, 3, 4, 5]
