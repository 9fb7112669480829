"""Turns over HTTP: as one answer and as live events; spoken, written and given words."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from tests.support.gateway_rig import RunningGateway, Told, read_events
from tests.support.gateway_script import REPLY, SAMPLE_QUESTIONS, SENTENCES

API = "/api/digital-human"
RECORDING = Path(__file__).parents[1] / "data" / "speech" / "cards_001.wav"
EVENTS = {"accept": "text/event-stream"}


async def collect(gateway: RunningGateway, path: str = "talk-to-ai", **request: Any) -> list[Told]:
    """Post, and return all events of the answer."""
    async with gateway.client.stream(
        "POST", f"{API}/{path}", headers=EVENTS, **request
    ) as response:
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"].startswith("text/event-stream")
        return [event async for event in read_events(response)]


async def test_a_question_in_writing(gateway: RunningGateway) -> None:
    task_id = await gateway.create()
    answer = await gateway.client.post(
        f"{API}/talk-to-ai", json={"taskId": task_id, "text": "Hello?", "lang": "zh"}
    )
    assert answer.status_code == 200
    turn = answer.json()
    assert {name: turn[name] for name in ("success", "message", "turnId", "interrupted")} == {
        "success": True,
        "message": "AI interaction completed",
        "turnId": 1,
        "interrupted": False,
    }
    assert (turn["transcript"], turn["reply"], turn["heard"]) == ("Hello?", REPLY, REPLY)
    assert turn["timings"] == {
        "transcriptMs": 300,
        "firstTokenMs": 450,
        "playbackStartedMs": 900,
    }
    assert turn["ledger"]["heardMethod"] == "COMPLETE"
    assert gateway.speech.setups[-1].language_code == "zh"


@pytest.mark.parametrize("way", ["form", "body"])
async def test_a_recording_arrives_as_pcm(gateway: RunningGateway, way: str) -> None:
    task_id = await gateway.create()
    content = RECORDING.read_bytes()
    request: dict[str, Any]
    if way == "form":
        request = {"data": {"taskId": task_id}, "files": {"audio": ("q.wav", content, "audio/wav")}}
    else:
        request = {
            "params": {"taskId": task_id},
            "content": content,
            "headers": {"content-type": "audio/wav"},
        }
    answer = await gateway.client.post(f"{API}/talk-to-ai", **request)
    assert answer.status_code == 200, answer.text
    assert answer.json()["transcript"] == "what was heard"
    (utterance,) = gateway.speech.utterances
    assert utterance == content[content.index(b"data") + 8 :]


async def test_live_events_come_in_order(gateway: RunningGateway) -> None:
    task_id = await gateway.create()
    files = {"audio": ("q.wav", RECORDING.read_bytes(), "audio/wav")}
    events = await collect(gateway, data={"taskId": task_id}, files=files)
    assert [event.name for event in events] == [
        "ready",
        "transcript_updated",
        "turn_started",
        "reply_updated",
        "sentence_started",
        "playback_started",
        "reply_updated",
        "turn_finished",
    ]
    assert [event.id for event in events] == [None, *(str(number) for number in range(1, 8))]
    assert events[1].data["isFinal"] is True
    assert events[4].data["words"] == [{"start": 0, "end": 2, "startMs": 0, "endMs": 250}]
    assert (
        "".join(event.data["delta"] for event in events if event.name == "reply_updated") == REPLY
    )
    assert events[-1].data["timings"]["playbackStartedMs"] == 900


async def test_events_are_sent_while_the_turn_goes_on(gateway: RunningGateway) -> None:
    task_id = await gateway.create()
    gateway.script.hold_reply = asyncio.Event()
    body = {"taskId": task_id, "text": "Hello?"}
    async with gateway.client.stream(
        "POST", f"{API}/talk-to-ai", headers=EVENTS, json=body
    ) as response:
        events = read_events(response)
        seen = [(await anext(events)).name for _ in range(3)]
        assert seen == ["ready", "turn_started", "reply_updated"]
        gateway.script.hold_reply.set()
        assert [event.name async for event in events][-1] == "turn_finished"


async def test_a_failed_turn_is_a_problem(gateway: RunningGateway) -> None:
    task_id = await gateway.create()
    gateway.script.turn_failure = ServiceError(
        Reason.CHAT_UNAVAILABLE, "The language model does not answer.", retry_after_s=7
    )
    body = {"taskId": task_id, "text": "Hello?"}
    answer = await gateway.client.post(f"{API}/talk-to-ai", json=body)
    assert answer.status_code == 503
    assert answer.json()["reason"] == "CHAT_UNAVAILABLE"
    assert answer.headers["retry-after"] == "7"

    events = await collect(gateway, json=body)
    assert events[-1].name == "turn_failed"
    assert events[-1].data["problem"]["reason"] == "CHAT_UNAVAILABLE"
    assert events[-1].data["reply"] == SENTENCES[0]


async def test_no_turn_is_a_failure(gateway: RunningGateway) -> None:
    task_id = await gateway.create()
    gateway.script.is_silent = True
    body = {"taskId": task_id, "text": "Hello?"}
    answer = await gateway.client.post(f"{API}/talk-to-ai", json=body)
    assert (answer.status_code, answer.json()["reason"]) == (503, "DEPENDENCY_UNAVAILABLE")
    events = await collect(gateway, json=body)
    assert [event.name for event in events] == ["ready", "problem"]
    assert events[1].data["reason"] == "DEPENDENCY_UNAVAILABLE"


async def test_a_refusal_before_the_first_event_is_a_status(gateway: RunningGateway) -> None:
    answer = await gateway.client.post(
        f"{API}/talk-to-ai", json={"taskId": "x", "text": "a"}, headers=EVENTS
    )
    assert (answer.status_code, answer.json()["reason"]) == (404, "TASK_NOT_FOUND")


@pytest.mark.parametrize(("lang", "question"), [("", "en"), ("zh", "zh"), ("zh-CN", "zh")])
async def test_the_sample_question_is_in_the_language(
    gateway: RunningGateway, lang: str, question: str
) -> None:
    task_id = await gateway.create(lang=lang) if lang else await gateway.create()
    answer = await gateway.client.post(f"{API}/talk-to-ai", json={"taskId": task_id})
    assert answer.json()["transcript"] == SAMPLE_QUESTIONS[question]


async def test_a_persona_without_a_sample_question_needs_text(gateway: RunningGateway) -> None:
    task_id = await gateway.create(personaId="mute")
    answer = await gateway.client.post(f"{API}/talk-to-ai", json={"taskId": task_id})
    assert answer.status_code == 400
    assert answer.json()["violations"][0]["field"] == "text"


async def test_say_speaks_the_words(gateway: RunningGateway) -> None:
    task_id = await gateway.create()
    answer = await gateway.client.post(
        f"{API}/say", json={"taskId": task_id, "text": "Welcome.", "priority": "HIGH"}
    )
    assert answer.json()["turnId"] == 1
    (said,) = gateway.speech.says
    assert (said.text, said.priority) == ("Welcome.", 3)
    events = await collect(gateway, "say", json={"taskId": task_id, "text": "Welcome."})
    assert events[-1].name == "turn_finished"


async def test_words_of_low_priority_may_be_dropped(gateway: RunningGateway) -> None:
    task_id = await gateway.create()
    gateway.script.is_silent = True
    body = {"taskId": task_id, "text": "By the way.", "priority": "LOW"}
    answer = (await gateway.client.post(f"{API}/say", json=body)).json()
    assert answer["success"] is True
    assert "turnId" not in answer


async def test_interrupt_and_action_reach_their_service(gateway: RunningGateway) -> None:
    task_id = await gateway.create()
    body = {"taskId": task_id}
    assert (await gateway.client.post(f"{API}/interrupt", json=body)).json()["success"] is True
    assert gateway.speech.interrupts == 1
    answer = await gateway.client.post(f"{API}/action", json=body | {"action": "nod"})
    assert answer.json()["success"] is True
    (performed,) = gateway.avatars.actions
    assert (performed.avatar_id, performed.action) == ("avatar-1", "nod")


async def test_audio_is_sent_in_messages_that_the_contract_allows(gateway: RunningGateway) -> None:
    task_id = await gateway.create()
    content = bytes(range(256)) * 500
    answer = await gateway.client.post(
        f"{API}/talk-to-ai",
        params={"taskId": task_id},
        content=content,
        headers={"content-type": "audio/pcm;rate=16000"},
    )
    assert answer.status_code == 200, answer.text
    assert gateway.speech.utterances == [content]


async def test_a_refusal_is_not_lost_among_the_audio(gateway: RunningGateway) -> None:
    """gRPC reports a write that crosses a refusal as an internal error of its own."""
    for _ in range(20):
        answer = await gateway.client.post(
            f"{API}/talk-to-ai",
            params={"taskId": "unknown"},
            content=bytes(640_000),
            headers={"content-type": "audio/pcm"},
        )
        assert (answer.status_code, answer.json()["reason"]) == (404, "TASK_NOT_FOUND")


async def test_answers_are_json_text(gateway: RunningGateway) -> None:
    task_id = await gateway.create()
    answer = await gateway.client.post(
        f"{API}/talk-to-ai", json={"taskId": task_id, "text": "你好"}
    )
    assert json.loads(answer.content.decode())["transcript"] == "你好"


@pytest.mark.parametrize("path", ["talk-to-ai", "say", "interrupt"])
async def test_a_replica_that_sends_a_stream_on_is_not_noticed(
    gateway: RunningGateway, path: str
) -> None:
    task_id = await gateway.create()
    gateway.script.sent_on = 2
    body = {"taskId": task_id} | ({} if path == "interrupt" else {"text": "Hello."})
    answer = await gateway.client.post(f"{API}/{path}", json=body)
    assert answer.status_code == 200, answer.text
    assert len(gateway.speech.setups) == 3
    taken = (*gateway.speech.texts, *(each.text for each in gateway.speech.says))
    assert (taken, gateway.speech.interrupts) == (
        ((), 1) if path == "interrupt" else (("Hello.",), 0)
    )


# Where a stream ends while it is written to, gRPC may lose why.
@pytest.mark.parametrize("end", ["sent_on", "unwritten"])
async def test_a_recording_is_sent_again_and_told_once(gateway: RunningGateway, end: str) -> None:
    task_id = await gateway.create()
    setattr(gateway.script, end, 1)
    told = await collect(
        gateway, data={"taskId": task_id}, files={"audio": ("a.wav", RECORDING.read_bytes())}
    )
    names = [each.name for each in told]
    assert names.count("ready") == 1
    assert names[-1] == "turn_finished"
    assert len(gateway.speech.utterances) == 1


async def test_a_turn_that_began_is_not_asked_again(gateway: RunningGateway) -> None:
    task_id = await gateway.create()
    gateway.script.turn_break = ServiceError(Reason.DRAINING, "This replica shuts down.")
    answer = await gateway.client.post(
        f"{API}/talk-to-ai", json={"taskId": task_id, "text": "Hello?"}
    )
    assert answer.json()["reason"] == "DRAINING"
    assert gateway.speech.texts == ["Hello?"]
