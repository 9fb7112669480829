"""A task's life over HTTP: on air, watched, listed, abandoned, stopped."""

import asyncio
import uuid
from typing import Any

import httpx
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from digitalhuman.conversation.v1 import conversation_pb2
from digitalhuman.task.v1 import task_pb2
from services.runtime.failures.errors import ServiceError, to_status
from services.runtime.failures.reasons import Reason
from tests.support.gateway_rig import RunningGateway, read_events, running_gateway

API = "/api/digital-human"
ROOM = {"roomId": "room_1", "streamId": "stream_1"}


def only_task(gateway: RunningGateway) -> str:
    (task_id,) = gateway.tasks.tasks
    return task_id


async def start_creating(
    gateway: RunningGateway, client: httpx.AsyncClient
) -> "asyncio.Task[httpx.Response]":
    """Begin a create-task that waits for the avatar."""
    gateway.script.is_on_air_at_once = False
    creating = asyncio.create_task(client.post(f"{API}/create-task", json=ROOM))
    await gateway.tasks.until(lambda tasks: tasks.watchers == 1)
    return creating


async def test_create_answers_when_on_air(gateway: RunningGateway) -> None:
    creating = await start_creating(gateway, gateway.client)
    assert not creating.done()
    await gateway.tasks.move(only_task(gateway), task_pb2.TASK_STATE_STREAMING)
    answer = await creating
    assert answer.status_code == 200
    assert answer.json()["state"] == "STREAMING"
    assert gateway.tasks.stops == []


async def test_create_passes_everything_on(gateway: RunningGateway) -> None:
    answer = await gateway.client.post(
        f"{API}/create-task",
        json={
            **ROOM,
            "personaId": "guide",
            "lang": "zh-CN",
            "digitalHumanId": "parley_mia",
            "userId": "ada",
            "backgroundColor": "#102030",
            # Some libraries have one type for all numbers, and null for what is not set.
            "maxDurationSeconds": 600.0,
            "maxIdleSeconds": 60,
            "greeting": None,
        },
    )
    task = answer.json()
    assert (
        task
        | {
            "state": "STREAMING",
            "roomId": "room_1",
            "streamId": "stream_1",
            "personaId": "guide",
            "lang": "zh-CN",
            "digitalHumanId": "parley_mia",
            "userId": "ada",
            "backgroundColor": "#102030",
            "maxDurationSeconds": 600,
            "maxIdleSeconds": 60,
        }
        == task
    )
    assert "avatarId" not in task


async def test_create_may_answer_at_once(gateway: RunningGateway) -> None:
    gateway.script.is_on_air_at_once = False
    answer = await gateway.client.post(
        f"{API}/create-task", json=ROOM, headers={"prefer": "respond-async"}
    )
    assert answer.status_code == 202
    assert answer.headers["preference-applied"] == "respond-async"
    assert answer.json()["state"] == "STARTING"
    found = await gateway.client.get(answer.headers["location"])
    assert found.json()["taskId"] == answer.json()["taskId"]


async def test_a_task_that_fails_is_a_problem(gateway: RunningGateway) -> None:
    creating = await start_creating(gateway, gateway.client)
    failure = ServiceError(Reason.CLOUD_NO_CAPACITY, "The cloud has no free node.")
    await gateway.tasks.move(
        only_task(gateway), task_pb2.TASK_STATE_FAILED, failure=to_status(failure)
    )
    answer = await creating
    assert (answer.status_code, answer.json()["reason"]) == (503, "CLOUD_NO_CAPACITY")
    assert "retry-after" in answer.headers


async def test_a_task_stopped_meanwhile_is_a_problem(gateway: RunningGateway) -> None:
    creating = await start_creating(gateway, gateway.client)
    await gateway.tasks.move(only_task(gateway), task_pb2.TASK_STATE_STOPPED)
    assert (await creating).json()["reason"] == "TASK_ENDED"


async def test_a_task_is_claimed_once_its_creator_is_answered(gateway: RunningGateway) -> None:
    creating = await start_creating(gateway, gateway.client)
    [order] = gateway.tasks.creates
    assert order.request_id
    assert order.claim_timeout.seconds > 65
    assert not gateway.tasks.claimed
    await gateway.tasks.move(only_task(gateway), task_pb2.TASK_STATE_STREAMING)
    task_id = (await creating).json()["taskId"]
    await gateway.tasks.until(lambda tasks: tasks.claimed == [task_id])


async def test_a_client_that_leaves_stops_the_task(gateway: RunningGateway) -> None:
    async with httpx.AsyncClient(base_url=gateway.url, timeout=30) as client:
        creating = await start_creating(gateway, client)
        creating.cancel()
        await asyncio.gather(creating, return_exceptions=True)
    await gateway.tasks.until(lambda tasks: tasks.stops)
    assert gateway.tasks.stops[0].reason == task_pb2.STOP_REASON_CLIENT_GONE
    await gateway.tasks.until(lambda tasks: tasks.watchers == 0)


async def test_an_avatar_that_never_comes_is_stopped() -> None:
    async with running_gateway(create_timeout_s=0.2) as gateway:
        gateway.script.is_on_air_at_once = False
        answer = await gateway.client.post(f"{API}/create-task", json=ROOM)
        assert (answer.status_code, answer.json()["reason"]) == (504, "DEADLINE_EXCEEDED")
        assert len(gateway.tasks.stops) == 1


@pytest.mark.parametrize("key", ["77da6040-f292-4f67-9cc5-628e896a4b3b", "order 66", "键"])
async def test_one_key_makes_one_task(gateway: RunningGateway, key: str) -> None:
    headers = [(b"idempotency-key", key.encode())]
    answers = [
        await gateway.client.post(f"{API}/create-task", json=ROOM, headers=headers)
        for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json()["taskId"] == answers[1].json()["taskId"]
    assert len({uuid.UUID(create.request_id) for create in gateway.tasks.creates}) == 1
    other = await gateway.client.post(
        f"{API}/create-task", json=ROOM | {"streamId": "other"}, headers=headers
    )
    assert (other.status_code, other.json()["reason"]) == (409, "REQUEST_ID_REUSED")


async def test_a_stream_in_use_is_a_conflict(gateway: RunningGateway) -> None:
    await gateway.create("one")
    answer = await gateway.client.post(
        f"{API}/create-task", json={"roomId": "r", "streamId": "one"}
    )
    assert (answer.status_code, answer.json()["reason"]) == (409, "STREAM_IN_USE")


async def test_tasks_are_listed_by_page_and_state(gateway: RunningGateway) -> None:
    ids = [await gateway.create(f"s{number}", userId="ada") for number in range(3)]
    await gateway.client.post(f"{API}/stop-task", json={"taskId": ids[0]})
    page = (await gateway.client.get(f"{API}/tasks", params={"pageSize": 2})).json()
    assert [task["taskId"] for task in page["tasks"]] == [ids[2], ids[1]]
    rest = await gateway.client.get(
        f"{API}/tasks", params={"pageSize": 2, "pageToken": page["nextPageToken"]}
    )
    assert [task["taskId"] for task in rest.json()["tasks"]] == [ids[0]]
    assert "nextPageToken" not in rest.json()
    stopped = await gateway.client.get(
        f"{API}/tasks", params={"state": ["STOPPED", "FAILED"], "userId": "ada"}
    )
    (task,) = stopped.json()["tasks"]
    assert task["stopReason"] == "REQUESTED"
    assert task["usage"]["billableSeconds"] == 1


async def test_conversation_as_json_and_text(gateway: RunningGateway) -> None:
    task_id = await gateway.create()
    gateway.tasks.turns = [
        task_pb2.Turn(
            turn_id=1,
            origin=conversation_pb2.TURN_ORIGIN_SPEECH,
            user_text="When do you open?",
            reply_text="At nine. And we close at six.",
            heard_text="At nine.",
            interrupted=True,
            start_time=Timestamp(seconds=1_700_000_000),
        ),
        task_pb2.Turn(
            turn_id=2,
            user_text="Hm",
            failure=to_status(ServiceError(Reason.NO_SPEECH, "No speech was heard.")),
        ),
    ]
    path = f"{API}/tasks/{task_id}/conversation"
    told = (await gateway.client.get(path)).json()
    assert told["lastSequence"] == 7
    assert told["turns"][0]["heard"] == "At nine."
    assert told["turns"][0]["origin"] == "SPEECH"
    assert told["turns"][1]["failure"] == {
        "reason": "NO_SPEECH",
        "message": "No speech was heard.",
    }
    text = await gateway.client.get(path, params={"format": "text"})
    assert text.headers["content-disposition"].startswith("attachment")
    assert text.text == (
        "[2023-11-14 22:13:20 UTC] User: When do you open?\n"
        "[2023-11-14 22:13:20 UTC] Guide: At nine. —\n"
        "User: Hm\n"
        "(No speech was heard.)\n"
    )


async def test_the_text_names_the_persona_as_it_is_called_in_the_turn_s_language(
    gateway: RunningGateway,
) -> None:
    gateway.speech.personas[0].display_names["zh"] = "向导"
    task_id = await gateway.create()
    said: dict[str, Any] = {"user_text": "你好", "heard_text": "您好。", "language_code": "zh-CN"}
    begun = Timestamp(seconds=1_700_000_000, nanos=123_456_000)
    gateway.tasks.turns = [task_pb2.Turn(turn_id=1, start_time=begun, **said)]
    path = f"{API}/tasks/{task_id}/conversation"
    text = (await gateway.client.get(path, params={"format": "text"})).text
    assert text.splitlines()[1] == "[2023-11-14 22:13:20 UTC] 向导: 您好。"
    # The record outlives the persona, and the service that knew it.
    gateway.speech.personas.clear()
    assert (
        "Digital human: 您好。" in (await gateway.client.get(path, params={"format": "text"})).text
    )
    gateway.script.errors["ListPersonas"] = ServiceError(Reason.INTERNAL, "Gone.")
    assert "您好。" in (await gateway.client.get(path, params={"format": "text"})).text


async def test_a_ledger_tells_each_segment_from_text_to_ear(gateway: RunningGateway) -> None:
    task_id = await gateway.create()
    finish_time = Timestamp(seconds=1_700_000_000)
    gateway.tasks.turns = [
        task_pb2.Turn(
            turn_id=1,
            reply_text="At nine. It is $5 at six.",
            heard_text="At nine. It is",
            interrupted=True,
            finish_time=finish_time,
            ledger=conversation_pb2.LedgerSummary(
                sentence_count=2, heard_method=conversation_pb2.HEARD_METHOD_WORD_TIMES
            ),
        ),
        task_pb2.Turn(turn_id=2, reply_text="Well"),
    ]
    word = conversation_pb2.WordTiming(
        start=6, end=8, start_offset=milliseconds(400), end_offset=milliseconds(900)
    )
    gateway.tasks.segments[1] = [
        conversation_pb2.LedgerSegment(
            spoken_text="At nine.",
            text_end=8,
            audio_end_offset=milliseconds(1000),
            sent_duration=milliseconds(1000),
            played_duration=milliseconds(1000),
            heard_end=8,
            heard_method=conversation_pb2.HEARD_METHOD_COMPLETE,
            confidence=1,
        ),
        conversation_pb2.LedgerSegment(
            spoken_text="It is five dollars at six.",
            text_start=9,
            text_end=25,
            audio_start_offset=milliseconds(1000),
            audio_end_offset=milliseconds(3000),
            sent_duration=milliseconds(800),
            played_duration=milliseconds(300),
            heard_end=14,
            heard_method=conversation_pb2.HEARD_METHOD_WORD_TIMES,
            confidence=0.95,
            words=[word],
        ),
    ]
    path = f"{API}/tasks/{task_id}/turns"
    told = (await gateway.client.get(f"{path}/1/ledger")).json()
    assert told["success"] is True
    assert (told["turnId"], told["heard"], told["interrupted"]) == (1, "At nine. It is", True)
    assert told["ledger"]["sentenceCount"] == 2
    first, second = told["segments"]
    assert (first["text"], first["heard"], first["words"]) == ("At nine.", "At nine.", [])
    assert second == {
        "text": "It is $5 at six.",
        "spoken": "It is five dollars at six.",
        "textStart": 9,
        "textEnd": 25,
        "audioStartMs": 1000,
        "audioEndMs": 3000,
        "sentMs": 800,
        "playedMs": 300,
        "heard": "It is",
        "heardMethod": "WORD_TIMES",
        "confidence": 0.95,
        "words": [{"textStart": 15, "textEnd": 17, "startMs": 1400, "endMs": 1900}],
    }
    running = (await gateway.client.get(f"{path}/2/ledger")).json()
    assert running["segments"] == []
    assert not {"finishTime", "ledger"} & running.keys()
    for turn_id, status, reason in ((3, 404, "TURN_NOT_FOUND"), (0, 400, "INVALID_REQUEST")):
        refused = await gateway.client.get(f"{path}/{turn_id}/ledger")
        assert (refused.status_code, refused.json()["reason"]) == (status, reason)


def milliseconds(count: int) -> Duration:
    duration = Duration()
    duration.FromMilliseconds(count)
    return duration


async def test_events_are_resumed_where_the_client_was(gateway: RunningGateway) -> None:
    task_id = await gateway.create()
    path = f"{API}/tasks/{task_id}/events"
    nothing_yet = f"{path}?after="
    async with gateway.client.stream("GET", nothing_yet, headers={"last-event-id": ""}) as response:
        events = read_events(response)
        snapshot = await anext(events)
        assert (snapshot.name, snapshot.id) == ("snapshot", "1")
        assert snapshot.data["task"]["state"] == "STREAMING"
        said = conversation_pb2.ConversationEvent(
            sequence=1, turn_id=1, turn_started=conversation_pb2.TurnStarted(user_text="Hi")
        )
        await gateway.tasks.tell(task_id, conversation_event=said)
        started = await anext(events)
        assert (started.name, started.id, started.data["transcript"]) == ("turn_started", "2", "Hi")
    await gateway.tasks.until(lambda tasks: tasks.watchers == 0)

    await gateway.tasks.move(task_id, task_pb2.TASK_STATE_STOPPING)
    await gateway.tasks.move(task_id, task_pb2.TASK_STATE_STOPPED)
    async with gateway.client.stream("GET", path, headers={"last-event-id": "2"}) as response:
        resumed = [event async for event in read_events(response)]
    assert [(event.name, event.id) for event in resumed] == [
        ("snapshot", None),
        ("state_changed", "3"),
        ("state_changed", "4"),
    ]
    assert resumed[-1].data["task"]["state"] == "STOPPED"

    async with gateway.client.stream("GET", path, params={"after": 0}) as response:
        everything = [event.id async for event in read_events(response)]
    assert everything == [None, "1", "2", "3", "4"]

    # An EventSource whose stream has ended connects again, until it is answered 204.
    again = await gateway.client.get(path, headers={"last-event-id": "4"})
    assert again.status_code == 204
