"""What clients say of a call, who is greeted, and words that are taken back."""

import json
import uuid
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from digitalhuman.task.v1 import task_pb2
from tests.support.gateway_rig import RunningGateway

API = "/api/digital-human"
ROOM = {"roomId": "room", "streamId": "stream"}
SHOW = {
    "name": "show",
    "description": "Shows a product.",
    "parameters": {"type": "object", "properties": {"id": {"type": "integer"}}},
    "timeoutSeconds": 5,
}


async def test_what_a_client_gives_is_handed_on_and_nothing_else(gateway: RunningGateway) -> None:
    answer = await gateway.client.post(
        f"{API}/create-task",
        json=ROOM
        | {
            "variables": {"name": "Ada"},
            "context": "On the order page.",
            "history": [{"role": "USER", "text": "Hi"}, {"role": "ASSISTANT", "text": "Hello"}],
            "historyTaskId": "task_earlier",
            "greeting": "Hi {{name}}",
            "greetingInterruptible": False,
            "hotWords": ["Parley"],
            "tools": [],
            "clientTools": [SHOW, {"name": "hide", "description": "Hides all."}],
            "voiceId": None,
        },
    )
    assert answer.status_code == 200, answer.text
    assert "Ada" not in answer.text
    messages = [
        task_pb2.SpokenMessage(speaker=task_pb2.SPEAKER_USER, text="Hi"),
        task_pb2.SpokenMessage(speaker=task_pb2.SPEAKER_DIGITAL_HUMAN, text="Hello"),
    ]
    assert gateway.tasks.creates[-1].facts == task_pb2.CallFacts(
        variables=task_pb2.CallVariables(values={"name": "Ada"}),
        context="On the order page.",
        history=task_pb2.CallHistory(task_id="task_earlier", messages=messages),
        greeting="Hi {{name}}",
        greeting_interruptible=False,
        hot_words=task_pb2.HotWords(words=["Parley"]),
        tools=task_pb2.ToolNames(),
        client_tools=task_pb2.ClientTools(
            tools=[
                task_pb2.ClientTool(
                    name="show",
                    description="Shows a product.",
                    parameters='{"type":"object","properties":{"id":{"type":"integer"}}}',
                    timeout=Duration(seconds=5),
                ),
                task_pb2.ClientTool(name="hide", description="Hides all."),
            ]
        ),
    )


async def test_all_that_may_be_known_fits_into_a_body(gateway: RunningGateway) -> None:
    schema = {"type": "object", "title": "字" * 3900}
    most = {
        "variables": {"name": "字" * 500},
        "context": "字" * 2000,
        "history": [{"role": "USER", "text": "字" * 2000}] * 32,
        "greeting": "字" * 1000,
        "hotWords": ["字" * 50] * 100,
        "clientTools": [
            {"name": f"show_{at}", "description": "字" * 1000, "parameters": schema}
            for at in range(16)
        ],
    }
    body = json.dumps(ROOM | most)  # Which escapes each of these characters.
    answer = await gateway.client.post(
        f"{API}/create-task", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 200, answer.text


async def test_a_call_of_which_nothing_is_said_has_no_facts(gateway: RunningGateway) -> None:
    await gateway.client.post(f"{API}/create-task", json=ROOM)
    assert not gateway.tasks.creates[-1].HasField("facts")


async def test_a_running_call_is_changed(gateway: RunningGateway) -> None:
    task_id = await gateway.create()
    answer = await gateway.client.patch(
        f"{API}/tasks/{task_id}", json={"variables": {}, "context": "News.", "hotWords": None}
    )
    assert (answer.status_code, answer.json()["taskId"]) == (200, task_id)
    assert gateway.tasks.updates == [
        task_pb2.UpdateTaskRequest(
            task_id=task_id,
            facts=task_pb2.CallFacts(variables=task_pb2.CallVariables(), context="News."),
        )
    ]


@pytest.mark.parametrize(
    ("members", "field", "reason"),
    [
        ({"variables": {"Name": "x"}}, "variables", "INVALID_REQUEST"),
        ({"variables": {"name": 1}}, "variables", "INVALID_REQUEST"),
        ({"context": "x" * 2001}, "context", "INVALID_REQUEST"),
        ({"greeting": "x" * 1001}, "greeting", "INVALID_REQUEST"),
        ({"greeting": "Hi {{nobody}}"}, "greeting", "INVALID_REQUEST"),
        ({"variables": {"nmae": "Ada"}}, "variables", "INVALID_REQUEST"),
        ({"clientTools": [SHOW | {"name": "no name"}]}, "clientTools", "INVALID_REQUEST"),
        ({"clientTools": [SHOW | {"name": "hours"}]}, "clientTools", "INVALID_REQUEST"),
        ({"clientTools": [SHOW | {"description": ""}]}, "clientTools", "INVALID_REQUEST"),
        ({"clientTools": [SHOW | {"parameters": []}]}, "clientTools", "INVALID_REQUEST"),
        ({"clientTools": [SHOW | {"timeoutSeconds": 301}]}, "clientTools", "INVALID_REQUEST"),
        (
            {"clientTools": [SHOW | {"parameters": {"a": "\ud800"}}]},
            "clientTools",
            "INVALID_REQUEST",
        ),
        ({"clientTools": [SHOW] * 17}, "clientTools", "INVALID_REQUEST"),
        ({"hotWords": [""]}, "hotWords", "INVALID_REQUEST"),
        ({"tools": ["no tool"]}, "tools", "INVALID_REQUEST"),
        ({"history": [{"role": "USER", "text": ""}]}, "history", "INVALID_REQUEST"),
        ({"history": [{"role": "SYSTEM", "text": "x"}]}, "history", "INVALID_REQUEST"),
        ({"voiceId": "nobody"}, "voiceId", "VOICE_NOT_FOUND"),
        ({"greetWhen": "NEVER"}, "greetWhen", "INVALID_REQUEST"),
    ],
)
async def test_a_fault_is_named_as_the_client_named_it_and_nothing_is_ordered(
    gateway: RunningGateway, members: dict[str, Any], field: str, reason: str
) -> None:
    answer = await gateway.client.post(
        f"{API}/create-task",
        content=json.dumps(ROOM | members),
        headers={"content-type": "application/json"},
    )
    problem = answer.json()
    assert (problem["reason"], problem["violations"][0]["field"]) == (reason, field)
    assert not gateway.tasks.creates


@pytest.mark.parametrize(
    ("members", "violation"),
    [
        ({"variables": {"seat": "4"}}, ("variables", "guide has no variable seat, only name")),
        (
            {"greeting": "Hi {{nobody}}"},
            ("greeting", "uses {{nobody}}, of which neither the call nor the persona has a value"),
        ),
        (
            {"clientTools": [SHOW | {"name": "hours"}]},
            ("clientTools", "guide has a tool hours of its own"),
        ),
    ],
)
async def test_a_change_that_does_not_fit_the_persona_is_refused_by_name(
    gateway: RunningGateway, members: dict[str, Any], violation: tuple[str, str]
) -> None:
    task_id = await gateway.create()
    answer = await gateway.client.patch(f"{API}/tasks/{task_id}", json=members)
    [found] = answer.json()["violations"]
    assert (found["field"], found["description"]) == violation
    assert not gateway.tasks.updates


async def test_a_change_fits_what_is_known_of_the_call(gateway: RunningGateway) -> None:
    task_id = await gateway.create()
    gateway.tasks.facts = task_pb2.CallFacts(greeting="Your seat is {{seat}}.")
    answer = await gateway.client.patch(
        f"{API}/tasks/{task_id}", json={"variables": {"seat": "4"}, "clientTools": [SHOW]}
    )
    assert answer.status_code == 200, answer.text


async def test_a_voice_that_there_is_not_is_refused_while_a_call_runs(
    gateway: RunningGateway,
) -> None:
    task_id = await gateway.create()
    answer = await gateway.client.patch(f"{API}/tasks/{task_id}", json={"voiceId": "nobody"})
    assert (answer.status_code, answer.json()["reason"]) == (404, "VOICE_NOT_FOUND")


async def test_the_user_is_greeted_on_air_unless_a_client_asks_for_it(
    gateway: RunningGateway,
) -> None:
    watched = await gateway.create("watched", greeting=None, greetWhen="WATCHED")
    silent = await gateway.create("silent")
    greeted = await gateway.create("greeted", greeting=None)
    await gateway.speech.until(lambda: greeted in gateway.speech.greeted)
    assert watched not in gateway.speech.greeted
    assert silent not in gateway.speech.greeted
    answer = await gateway.client.post(f"{API}/greet", json={"taskId": watched})
    assert answer.status_code == 200
    assert gateway.speech.greeted == [greeted, watched]
    assert gateway.tasks.claimed == [watched, silent, greeted]


async def test_words_are_said_that_can_be_taken_back(gateway: RunningGateway) -> None:
    task_id = await gateway.create()
    request_id = str(uuid.uuid4())
    answer = await gateway.client.post(
        f"{API}/say",
        json={
            "taskId": task_id,
            "text": "Recorded.",
            "interruptible": False,
            "requestId": request_id,
        },
    )
    assert answer.status_code == 200, answer.text
    [said] = gateway.speech.says
    assert (said.request_id, said.interruptible) == (request_id, False)
    answer = await gateway.client.delete(f"{API}/tasks/{task_id}/say/{request_id}")
    assert answer.status_code == 200
    assert gateway.speech.withdrawn == [request_id]
    answer = await gateway.client.delete(f"{API}/tasks/{task_id}/say/words")
    assert answer.json()["violations"][0]["field"] == "requestId"


async def test_words_that_were_taken_back_before_their_turn_are_no_failure(
    gateway: RunningGateway,
) -> None:
    task_id = await gateway.create()
    gateway.script.is_silent = True
    answer = await gateway.client.post(f"{API}/say", json={"taskId": task_id, "text": "Hi."})
    assert (answer.status_code, "turnId" in answer.json()) == (200, False)
