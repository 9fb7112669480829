"""What is not set is absent from every answer, never null and never an empty text."""

from typing import Any

import httpx
from google.protobuf.timestamp_pb2 import Timestamp

from digitalhuman.avatar.v1 import avatar_pb2
from digitalhuman.conversation.v1 import conversation_pb2 as conversation_pb
from digitalhuman.task.v1 import task_pb2
from tests.support.gateway_rig import RunningGateway, read_events
from tests.support.unset import unset_members

API = "/api/digital-human"


async def test_a_whole_conversation(gateway: RunningGateway) -> None:
    task_id = await gateway.create()
    gateway.tasks.turns = [
        task_pb2.Turn(
            turn_id=1, reply_text="Hi.", heard_text="Hi.", finish_time=Timestamp(seconds=9)
        ),
        task_pb2.Turn(turn_id=2),
    ]
    gateway.tasks.segments[1] = [
        conversation_pb.LedgerSegment(text_end=3, spoken_text="Hi.", heard_end=3)
    ]
    gateway.avatars.playback = avatar_pb2.Playback(protocol=avatar_pb2.PLAYBACK_PROTOCOL_WHEP)
    body = {"taskId": task_id}
    said = body | {"text": "Welcome."}
    early = {"prefer": "respond-async"}
    post, get = gateway.client.post, gateway.client.get
    answers = {
        "config": await get("/api/config"),
        "token": await get("/api/token", params={"userId": "ada"}),
        "talk": await post(f"{API}/talk-to-ai", json=body),
        "talk early": await post(f"{API}/talk-to-ai", json=body, headers=early),
        "say": await post(f"{API}/say", json=said),
        "say early": await post(f"{API}/say", json=said, headers=early),
        "interrupt": await post(f"{API}/interrupt", json=body),
        "action": await post(f"{API}/action", json=body | {"action": "nod"}),
        "task": await get(f"{API}/tasks/{task_id}"),
        "tasks": await get(f"{API}/tasks"),
        "conversation": await get(f"{API}/tasks/{task_id}/conversation"),
        "ledger": await get(f"{API}/tasks/{task_id}/turns/1/ledger"),
        "running ledger": await get(f"{API}/tasks/{task_id}/turns/2/ledger"),
        "stop": await post(f"{API}/stop-task", json=body),
        "problem": await post(f"{API}/talk-to-ai", json=body),
    }
    assert answers["problem"].is_error
    assert all(each.is_success for name, each in answers.items() if name != "problem")
    found = {name: list(unset_members(_content(each))) for name, each in answers.items()}
    assert not {name: paths for name, paths in found.items() if paths}


async def test_events(gateway: RunningGateway) -> None:
    task_id = await gateway.create()
    events = {"accept": "text/event-stream"}
    body = {"taskId": task_id, "text": "Welcome."}
    for path in ("say", "talk-to-ai"):
        async with gateway.client.stream(
            "POST", f"{API}/{path}", json=body, headers=events
        ) as response:
            told = [(event.name, event.data) async for event in read_events(response)]
        assert told[-1][0] == "turn_finished"
        assert not [(name, data) for name, data in told if list(unset_members(data))]


def _content(answer: httpx.Response) -> Any:
    return answer.json()
