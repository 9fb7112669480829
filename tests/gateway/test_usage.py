"""Usage, findings and the removal of what was said over HTTP, with a real task service behind."""

import asyncio
import csv
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from io import StringIO
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.protobuf.duration_pb2 import Duration
from rich.console import Console

from digitalhuman.conversation.v1 import conversation_pb2 as talk
from digitalhuman.task.v1 import task_pb2 as pb
from digitalhuman.task.v1.task_pb2_grpc import TaskServiceStub
from gateway.contract.usage import from_usage_row, to_csv
from parley.administration.reconcile import show_findings
from parley.administration.usage import table_of
from parley.gateway_client.gateway import Gateway
from tests.support.gateway_rig import RunningGateway, read_events, running_gateway
from tests.support.gateway_script import SERVICE_TOKEN
from tests.support.task import ScriptedCloud, task_service
from tests.support.task_calls import event

API = "/api/digital-human"


def today() -> str:
    return datetime.now(UTC).date().isoformat()


@pytest.fixture
async def within_a_day() -> None:
    """Begin after midnight if that is near: what is used before and after it is of two days."""
    now = datetime.now(UTC)
    midnight = datetime.combine(now.date() + timedelta(days=1), time.min, UTC)
    if midnight - now < timedelta(seconds=30):
        await asyncio.sleep((midnight - now).total_seconds())


@pytest.fixture
def cloud() -> ScriptedCloud:
    return ScriptedCloud()


@pytest.fixture
async def address(cloud: ScriptedCloud) -> AsyncIterator[str]:
    async with task_service(
        cloud, service_token=SERVICE_TOKEN, sweep_interval_s=3600, budget_user_seconds=3600
    ) as address:
        yield address


@pytest.fixture
async def real(address: str) -> AsyncIterator[RunningGateway]:
    async with running_gateway(task_target=address) as gateway:
        yield gateway


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def refusing() -> AsyncIterator[RunningGateway]:
    """A gateway and a task service for what depends on no task."""
    async with (
        task_service(ScriptedCloud(), service_token=SERVICE_TOKEN) as address,
        running_gateway(task_target=address) as gateway,
    ):
        yield gateway


async def ended(gateway: RunningGateway, stream_id: str, **members: Any) -> str:
    """Put a task on air and stop it."""
    task_id = await gateway.create(stream_id, **members)
    await gateway.client.post(f"{API}/stop-task", json={"taskId": task_id})
    return task_id


@pytest.mark.usefixtures("within_a_day")
async def test_usage_is_told_in_pages_per_user_and_per_task(real: RunningGateway) -> None:
    for number, user in enumerate(("ann", "ann", "bob")):
        await ended(real, f"stream_{number}", userId=user)
    first = (await real.client.get(f"{API}/usage", params={"pageSize": 1})).json()
    second = (
        await real.client.get(
            f"{API}/usage", params={"pageSize": 1, "pageToken": first["nextPageToken"]}
        )
    ).json()
    assert [row["userId"] for row in first["rows"] + second["rows"]] == ["ann", "bob"]
    assert first["rows"][0] | {"day": today(), "tasks": 2, "turns": 0} == first["rows"][0]
    assert first["rows"][0]["billableSeconds"] >= 2
    assert "nextPageToken" not in second
    by_task = await real.client.get(f"{API}/usage", params={"groupBy": "task", "userId": "bob"})
    assert [row["userId"] for row in by_task.json()["rows"]] == ["bob"]
    assert by_task.json()["rows"][0]["taskId"].startswith("task_")


@pytest.mark.usefixtures("within_a_day")
@pytest.mark.parametrize(
    "asking", [{"params": {"format": "csv"}}, {"headers": {"Accept": "text/csv"}}]
)
async def test_usage_comes_as_csv(real: RunningGateway, asking: dict[str, Any]) -> None:
    await ended(real, "stream_1", userId='=cmd("x"),1')
    answer = await real.client.get(f"{API}/usage", **asking)
    assert answer.headers["Content-Type"].startswith("text/csv")
    header, row = csv.reader(StringIO(answer.text))
    assert header[:6] == ["day", "user_id", "task_id", "tasks", "turns", "billable_seconds"]
    assert header[6:] == [
        *("input_tokens", "cached_tokens", "output_tokens", "estimated_tokens", "characters"),
        *("recognized_seconds", "costs"),
    ]
    assert row[:5] == [today(), '\'=cmd("x"),1', "", "1", "0"]


@pytest.mark.parametrize("user_id", ["=1", "+1", "-1", "@a", "\t=1", "\r=1", " =1"])
def test_no_cell_is_a_formula(user_id: str) -> None:
    row = from_usage_row(pb.UsageRow(user_id=user_id, tasks=1))
    [cells] = csv.reader(StringIO(to_csv([row], has_header=False), newline=""))
    assert cells[1] == f"'{user_id}"


def test_what_providers_were_used_for_is_added_up_and_money_is_not() -> None:
    row = from_usage_row(
        pb.UsageRow(
            tasks=1,
            providers=[
                pb.ProviderTotals(characters=5, recognized_duration=Duration(seconds=2)),
                pb.ProviderTotals(currency="EUR", cost_micros=1_250_000, input_tokens=90),
                pb.ProviderTotals(currency="USD", cost_micros=77, input_tokens=10, characters=1),
            ],
        )
    )
    told = row.to_json()
    assert told["costs"] == [
        {"currency": "EUR", "amount": 1.25},
        {"currency": "USD", "amount": 0.000077},
    ]
    assert (told["inputTokens"], told["characters"], told["recognizedSeconds"]) == (100, 6, 2)
    [cells] = csv.reader(StringIO(to_csv([row], has_header=False), newline=""))
    assert cells[6:] == ["100", "0", "0", "0", "6", "2.0", "1.250000 EUR; 0.000077 USD"]


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"from": "2026-02-30"}, "from"),
        ({"to": "today"}, "to"),
        ({"from": "2026-01-02", "to": "2026-01-01"}, "to"),
        ({"from": "2000-01-01", "to": "2026-01-01"}, "to"),
        ({"to": "9999-12-31", "from": "9999-12-31"}, "to"),
        ({"groupBy": "room"}, "groupBy"),
        ({"userId": "u" * 65}, "userId"),
        ({"pageToken": "bm9wZQ"}, "pageToken"),
    ],
)
@pytest.mark.asyncio(loop_scope="module")
async def test_what_is_wrong_is_named(
    refusing: RunningGateway, params: dict[str, str], field: str
) -> None:
    answer = await refusing.client.get(f"{API}/usage", params=params)
    assert answer.status_code == 400
    assert [each["field"] for each in answer.json()["violations"]] == [field]


@pytest.mark.parametrize(
    ("params", "violation"),
    [
        ({"from": "1764288000"}, "from: must be a day such as 2026-01-31"),
        ({"from": "20261101"}, "from: must be a day such as 2026-01-31"),
        ({"to": "2026-02-30"}, "to: must be a day such as 2026-01-31"),
        ({"from": "9999-01-01"}, "from: must not be after today unless `to` is given"),
        ({"from": "2026-01-02", "to": "2026-01-01"}, "to: must not be before `from`"),
        (
            {"from": "2001-01-01"},
            "from: must make a report of at most 3660 days, both ends included",
        ),
        (
            {"from": "2016-01-01", "to": "2026-01-08"},
            "to: must make a report of at most 3660 days, both ends included",
        ),
    ],
)
@pytest.mark.asyncio(loop_scope="module")
async def test_days_are_refused_in_the_caller_s_terms(
    refusing: RunningGateway, params: dict[str, str], violation: str
) -> None:
    answer = await refusing.client.get(f"{API}/usage", params=params)
    assert (answer.status_code, answer.json()["detail"]) == (400, violation)


@pytest.mark.parametrize("path", ["usage?groupBy=user&groupBy=task", "tasks?userId=a&userId=a"])
@pytest.mark.asyncio(loop_scope="module")
async def test_a_parameter_is_given_once(refusing: RunningGateway, path: str) -> None:
    answer = await refusing.client.get(f"{API}/{path}")
    assert answer.status_code == 400
    [violation] = answer.json()["violations"]
    assert (violation["rule"], violation["description"]) == ("single", "must be given once")


@pytest.mark.parametrize("first", ["2016-01-01", "2026-01-07"])
@pytest.mark.asyncio(loop_scope="module")
async def test_a_report_is_for_a_day_or_many(refusing: RunningGateway, first: str) -> None:
    answer = await refusing.client.get(f"{API}/usage", params={"from": first, "to": "2026-01-07"})
    assert answer.status_code == 200


async def test_what_was_said_is_removed_once_the_task_has_ended(
    real: RunningGateway, address: str
) -> None:
    task_id = await real.create(maxAbsenceSeconds=3600)
    started = event(1, 1, turn_started=talk.TurnStarted(user_text="My secret."))
    metadata = (("authorization", f"Bearer {SERVICE_TOKEN}"),)
    path = f"{API}/tasks/{task_id}"
    refused = await real.client.delete(f"{path}/conversation")
    assert (refused.status_code, refused.json()["reason"]) == (409, "TASK_NOT_ENDED")
    async with grpc.aio.insecure_channel(address) as channel:
        stub = TaskServiceStub(channel)
        await stub.AppendEvents(
            pb.AppendEventsRequest(task_id=task_id, events=[started]), metadata=metadata
        )
    await real.client.post(f"{API}/stop-task", json={"taskId": task_id})
    for _ in range(2):
        removed = await real.client.delete(f"{path}/conversation")
        assert (removed.status_code, removed.json()["success"]) == (200, True)
    assert (await real.client.get(f"{path}/conversation")).json()["turns"] == []
    assert (await real.client.get(path)).json()["maxAbsenceSeconds"] == 3600
    last = await last_sequence(real, f"{path}/events")
    # Whoever saw the conversation's last event is sent the rest, and is not asked to come again.
    for after in range(last + 1):
        answer = await real.client.get(f"{path}/events", params={"after": after})
        assert answer.status_code == (204 if after == last else 200)


async def last_sequence(gateway: RunningGateway, path: str) -> int:
    async with gateway.client.stream("GET", path, params={"after": 0}) as answer:
        return max([int(told.id or 0) async for told in read_events(answer)])


async def test_differences_are_told_and_settled(real: RunningGateway, cloud: ScriptedCloud) -> None:
    await real.create("kept")
    await ended(real, "stray")
    shown = StringIO()
    gateway, console = Gateway(real.client), Console(file=shown, width=200)
    show_findings(await gateway.reconcile(is_dry=True), console, is_dry=True)
    assert shown.getvalue() == "Nothing differs.\n"
    [kept] = cloud.running.values()
    cloud.put(replace(kept, avatar_id="stray", stream_id="stray"))
    show_findings(await gateway.reconcile(is_dry=True), console, is_dry=True)
    assert "stop avatar" in shown.getvalue()
    assert "stray" in cloud.running
    await gateway.reconcile(is_dry=False)
    while await gateway.reconcile(is_dry=True):
        pass
    assert cloud.running.keys() == {kept.avatar_id}


async def test_the_command_line_shows_usage(real: RunningGateway) -> None:
    await ended(real, "stream_1", userId="[red]ann")
    shown = StringIO()
    gateway = Gateway(real.client)
    Console(file=shown, width=200).print(table_of(await gateway.usage({"groupBy": "user"})))
    assert "[red]ann" in shown.getvalue()
    assert (await gateway.usage_csv({})).startswith("day,user_id,")


def test_the_command_line_adds_money_up_by_currency() -> None:
    rows = [
        from_usage_row(
            pb.UsageRow(
                user_id=user,
                tasks=1,
                providers=[
                    pb.ProviderTotals(currency="EUR", cost_micros=1_250_000, input_tokens=90),
                    pb.ProviderTotals(currency="USD", cost_micros=500_000, characters=7),
                ],
            )
        ).to_json()
        for user in ("ann", "bob")
    ]
    shown = StringIO()
    Console(file=shown, width=200).print(table_of(rows))
    *_, total_in_euros, total_in_dollars = shown.getvalue().splitlines()
    assert "180" in total_in_euros
    assert "2.5000 EUR" in total_in_euros
    assert "1.0000 USD" in total_in_dollars


async def test_a_user_without_budget_is_told_to_wait() -> None:
    async with (
        task_service(service_token=SERVICE_TOKEN, budget_user_seconds=9) as address,
        running_gateway(task_target=address) as gateway,
    ):
        answer = await gateway.client.post(
            f"{API}/create-task",
            json={"roomId": "room_1", "streamId": "stream_1", "userId": "ann"},
        )
        assert (answer.status_code, answer.json()["reason"]) == (429, "BUDGET_EXCEEDED")
        assert 0 < int(answer.headers["Retry-After"]) <= 31 * 86400
