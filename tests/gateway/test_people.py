"""What is kept of a user is handed out and removed, with a real task service behind."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from io import StringIO
from pathlib import Path
from typing import Any

import grpc
import pytest
from rich.console import Console

from digitalhuman.conversation.v1 import conversation_pb2 as talk
from digitalhuman.task.v1 import task_pb2 as pb
from digitalhuman.task.v1.task_pb2_grpc import TaskServiceStub
from gateway.contract.json_model import JsonModel
from gateway.contract.people import to_line
from parley.administration import user_data
from parley.gateway_client.answers import GatewayError
from parley.gateway_client.gateway import Gateway
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from tests.support.gateway_rig import RunningGateway, running_gateway
from tests.support.gateway_script import SERVICE_TOKEN
from tests.support.task import ScriptedCloud, task_service
from tests.support.task_calls import event

API = "/api/digital-human"
CALL: dict[str, Any] = {
    "variables": {"name": "Ann Canary"},
    "context": "She has ordered shoes.",
    "hotWords": ["Canary"],
    "clientTools": [
        {
            "name": "show",
            "description": "Shows shoes.",
            "parameters": {"type": "object", "properties": {"size": {"type": "number"}}},
        }
    ],
    "history": [{"role": "USER", "text": "Hello again."}],
}
USED = talk.ProviderUsage(
    stage=talk.PROVIDER_STAGE_CHAT, provider="brain", currency="EUR", cost_micros=77
)
LOOKED_UP = talk.ToolCalled(name="orders", call_id="1", arguments='{"of": "Ann Canary"}')


@pytest.fixture
async def address() -> AsyncIterator[str]:
    async with task_service(
        ScriptedCloud(), service_token=SERVICE_TOKEN, sweep_interval_s=3600
    ) as address:
        yield address


@pytest.fixture
async def real(address: str) -> AsyncIterator[RunningGateway]:
    async with running_gateway(task_target=address) as gateway:
        yield gateway


async def talked(
    gateway: RunningGateway, address: str, stream_id: str, *, turns: int = 2, **members: Any
) -> str:
    """Hold a conversation in a task, and stop it."""
    task_id = await gateway.create(stream_id, **members)
    said = []
    for turn in range(1, turns + 1):
        started = talk.TurnStarted(user_text=f"Question {turn}.", origin=talk.TURN_ORIGIN_TEXT)
        finished = talk.TurnFinished(reply_text="I see.", heard_text="I see.", usage=[USED])
        said += [
            event(3 * turn - 2, turn, turn_started=started),
            event(3 * turn - 1, turn, tool_called=LOOKED_UP),
            event(3 * turn, turn, turn_finished=finished),
        ]
    async with grpc.aio.insecure_channel(address) as channel:
        await TaskServiceStub(channel).AppendEvents(
            pb.AppendEventsRequest(task_id=task_id, events=said),
            metadata=(("authorization", f"Bearer {SERVICE_TOKEN}"),),
        )
    await gateway.client.post(f"{API}/stop-task", json={"taskId": task_id})
    return task_id


async def export(gateway: RunningGateway, user_id: str) -> list[dict[str, Any]]:
    sink = StringIO()
    await user_data.export(Gateway(gateway.client), user_id, sink)
    return [json.loads(line) for line in sink.getvalue().splitlines()]


async def test_all_that_is_kept_of_a_user_is_handed_out(real: RunningGateway, address: str) -> None:
    first = await talked(real, address, "one", userId="ann", **CALL)
    second = await talked(real, address, "two", userId="ann")
    await talked(real, address, "three", userId="bob", context="He is another.")
    records = await export(real, "ann")
    assert [each["record"] for each in records] == [
        *(["task"] + ["turn"] * 2 + ["event"] * 6) * 2,
        "usage",
        "end",
    ]
    tasks = [each for each in records if each["record"] == "task"]
    assert [each["task"]["taskId"] for each in tasks] == [second, first]
    assert tasks[1]["call"] == CALL | {"greeting": ""}
    turns = [each["turn"] for each in records if each["record"] == "turn"]
    assert [each["transcript"] for each in turns] == ["Question 1.", "Question 2."] * 2
    called = [each["event"] for each in records if each["record"] == "event"][1]
    assert called["event"] == "tool_called"
    assert "Ann Canary" in json.dumps(called)
    assert records[-2]["usage"]["userId"] == "ann"
    assert records[-2]["usage"]["tasks"] == 2
    assert records[-1] == {"record": "end", "tasks": 2}
    assert "another" not in json.dumps(records)
    audit = (await real.client.get(f"{API}/audit", params={"pageSize": 1})).json()
    assert audit["entries"][0]["action"] == "user.exported"
    assert "ann" not in json.dumps(audit)


async def test_a_long_conversation_is_handed_out_whole(real: RunningGateway, address: str) -> None:
    # More than one page of either.
    await talked(real, address, "one", userId="ann", turns=3, context="x")
    long = "word " * 100_000
    task_id = await real.create("two", userId="ann")
    async with grpc.aio.insecure_channel(address) as channel:
        for turn in range(1, 5):
            said = [
                event(2 * turn - 1, turn, turn_started=talk.TurnStarted(user_text=long)),
                event(2 * turn, turn, turn_finished=talk.TurnFinished(reply_text="I see.")),
            ]
            await TaskServiceStub(channel).AppendEvents(
                pb.AppendEventsRequest(task_id=task_id, events=said),
                metadata=(("authorization", f"Bearer {SERVICE_TOKEN}"),),
            )
    records = [each for each in await export(real, "ann") if each.get("taskId") == task_id]
    assert [each["turn"]["turnId"] for each in records if each["record"] == "turn"] == [1, 2, 3, 4]
    told = [each["event"]["sequence"] for each in records if each["record"] == "event"]
    assert told == list(range(1, 9))


async def test_others_are_served_between_the_records_of_a_page(
    real: RunningGateway, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await talked(real, address, "one", userId="ann", turns=20)
    loop_turns = 0
    at: list[int] = []

    async def turning() -> None:
        nonlocal loop_turns
        while True:
            loop_turns += 1
            await asyncio.sleep(0)

    def noted(record: JsonModel) -> str:
        at.append(loop_turns)
        return to_line(record)

    monkeypatch.setattr("gateway.routes.people.to_line", noted)
    others = asyncio.create_task(turning())
    try:
        records = await export(real, "ann")
    finally:
        others.cancel()
    assert len(records) > 80
    assert len(set(at)) == len(records)


async def test_a_file_of_somebody_s_data_is_for_its_owner_alone(
    real: RunningGateway, tmp_path: Path
) -> None:
    file = tmp_path / "ann.jsonl"
    gateway = Gateway(real.client)
    await user_data.export_to(gateway, "ann", file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert json.loads(file.read_text()) == {"record": "end", "tasks": 0}
    with pytest.raises(GatewayError, match="cannot be written: File exists"):
        await user_data.export_to(gateway, "ann", file)


async def test_no_character_ends_a_line_or_rules_a_terminal(
    real: RunningGateway, address: str
) -> None:
    odd = "\u2028\u2029\x85\x9b31m\u202e张三 \U000e0001\x00\x1b"
    await talked(real, address, "one", userId="ann", context=odd, variables={"name": "张三"})
    answer = await real.client.post(f"{API}/export-user", json={"userId": "ann"})
    assert all(each.isprintable() for each in answer.text.split("\n"))
    assert "张三" in answer.text
    [task, *_] = await export(real, "ann")
    assert task["call"]["context"] == odd


async def test_of_nobody_known_there_is_only_the_end(real: RunningGateway) -> None:
    assert await export(real, "nobody") == [{"record": "end", "tasks": 0}]


async def test_a_user_is_removed_with_all_that_was_said(real: RunningGateway, address: str) -> None:
    task_id = await talked(real, address, "one", userId="ann", **CALL)
    other = await talked(real, address, "two", userId="bob")
    shown = StringIO()
    await user_data.erase(Gateway(real.client), "ann", Console(file=shown, width=200))
    assert shown.getvalue().startswith("1 tasks removed")
    assert (await real.client.get(f"{API}/tasks/{task_id}")).status_code == 404
    assert await export(real, "ann") == [{"record": "end", "tasks": 0}]
    assert (await real.client.get(f"{API}/tasks/{other}")).json()["userId"] == "bob"
    rows = (await real.client.get(f"{API}/usage")).json()["rows"]
    assert [(row.get("userId"), row["turns"]) for row in rows] == [(None, 2), ("bob", 2)]


async def test_a_user_of_whom_much_is_kept_is_removed_in_parts(
    real: RunningGateway, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.task.contract.servicer.PART_S", 0.0)
    for user_id in ("ann", "bob"):
        await talked(real, address, user_id, userId=user_id, **CALL)
    async with grpc.aio.insecure_channel(address) as channel:
        erased = await TaskServiceStub(channel).EraseUser(
            pb.EraseUserRequest(user_id="ann", in_parts=True),
            metadata=(("authorization", f"Bearer {SERVICE_TOKEN}"),),
        )
    assert erased.has_more
    for user_id in ("ann", "bob"):
        answer = await real.client.post(f"{API}/erase-user", json={"userId": user_id})
        assert answer.json()["tasks"] == 1 - (user_id == "ann") * erased.tasks
        assert await export(real, user_id) == [{"record": "end", "tasks": 0}]


async def test_a_user_who_is_on_air_is_stopped_first(real: RunningGateway) -> None:
    task_id = await real.create(userId="ann")
    answer = await real.client.post(f"{API}/erase-user", json={"userId": "ann"})
    assert (answer.status_code, answer.json()["reason"]) == (409, "TASK_NOT_ENDED")
    assert answer.json()["metadata"] == {"taskId": task_id}
    assert answer.json()["detail"].startswith("userId: ")


@pytest.mark.parametrize("endpoint", ["export-user", "erase-user"])
@pytest.mark.parametrize("body", [{}, {"userId": ""}, {"userId": "u" * 65}, {"userId": 7}])
async def test_a_user_must_be_named(
    real: RunningGateway, endpoint: str, body: dict[str, object]
) -> None:
    answer = await real.client.post(f"{API}/{endpoint}", json=body)
    assert answer.status_code == 400
    assert [each["field"] for each in answer.json()["violations"]] == ["userId"]


async def test_an_export_that_breaks_off_says_so(tmp_path: Path) -> None:
    async with running_gateway() as gateway:
        await gateway.create(userId="ann")
        gateway.script.errors["GetConversation"] = ServiceError(
            Reason.DEPENDENCY_UNAVAILABLE, "The database is away."
        )
        sink = StringIO()
        with pytest.raises(GatewayError, match="not complete: The database is away") as broken:
            await user_data.export(Gateway(gateway.client), "ann", sink)
        with pytest.raises(GatewayError):
            await user_data.export_to(Gateway(gateway.client), "ann", tmp_path / "ann.jsonl")
    assert os.listdir(tmp_path) == []
    assert broken.value.reason == "DEPENDENCY_UNAVAILABLE"
    assert [json.loads(line)["record"] for line in sink.getvalue().splitlines()] == [
        "task",
        "problem",
    ]


async def test_a_user_of_another_tenant_is_another_person(real: RunningGateway) -> None:
    acme = {"Parley-Tenant": "acme"}
    order = {"roomId": "room", "streamId": "stream", "userId": "ann", "greeting": ""}
    for headers in ({}, acme):
        created = await real.client.post(f"{API}/create-task", json=order, headers=headers)
        task_id = created.raise_for_status().json()["taskId"]
        stopping = {"taskId": task_id}
        await real.client.post(f"{API}/stop-task", json=stopping, headers=headers)
    body = {"userId": "ann"}
    theirs = (await real.client.post(f"{API}/export-user", json=body, headers=acme)).text
    assert [json.loads(line)["record"] for line in theirs.splitlines()][-1] == "end"
    assert [each["task"]["taskId"] for each in await export(real, "ann") if "task" in each] != [
        task_id
    ]
    assert task_id in theirs
    erased = await real.client.post(f"{API}/erase-user", json=body)
    assert erased.json()["tasks"] == 1
    again = (await real.client.post(f"{API}/export-user", json=body, headers=acme)).text
    assert again == theirs
