"""One question is one trace through all processes, down to the cloud, and tells no words."""

import asyncio
import secrets
from collections.abc import Sequence

import httpx
from anyio.from_thread import BlockingPortal

from tests.support.collector import Collector, Seen
from tests.support.stack import Stack

API = "/api/digital-human"
QUESTION = "Thanks for your help."
CALLS = {
    "POST /api/digital-human/talk-to-ai": "parley-gateway",
    "digitalhuman.speech.v1.SpeechService/Converse": "parley-speech",
    "turn": "parley-speech",
    "digitalhuman.task.v1.TaskService/AppendEvents": "parley-task",
    "digitalhuman.avatar.v1.AvatarService/Drive": "parley-avatar",
    "cloud DriveByWsStream": "parley-avatar",
}
STAGES = {
    "first_token",
    "first_sentence",
    "first_audio",
    "drive_ready",
    "first_pcm_sent",
    "playback_started",
}


async def test_a_question_is_one_trace_through_all_processes(
    stack: Stack,
    collector: Collector,
    portal: BlockingPortal,
    http: httpx.AsyncClient,
    task_id: str,
) -> None:
    trace_id = secrets.token_hex(16)
    caller_id = secrets.token_hex(8)

    def found(spans: Sequence[Seen]) -> dict[str, Seen]:
        return {each.span.name: each for each in spans if each.span.trace_id.hex() == trace_id}

    answered = await http.post(
        f"{API}/talk-to-ai",
        json={"taskId": task_id, "text": QUESTION},
        headers={"traceparent": f"00-{trace_id}-{caller_id}-01"},
    )
    reply = str(answered.json()["reply"])
    wanted = CALLS.keys() | STAGES
    spans = found(
        await asyncio.to_thread(
            portal.call, collector.until, lambda spans: wanted <= found(spans).keys()
        )
    )
    assert {name: spans[name].service for name in CALLS} == CALLS
    ids = {name: each.span.span_id for name, each in spans.items()}
    parents = {name: each.span.parent_span_id for name, each in spans.items()}
    question, converse, turn, _, drive, cloud = CALLS
    assert parents[question].hex() == caller_id
    assert parents[converse] == ids[question]
    assert parents[turn] == parents[drive] == ids[converse]
    assert parents[cloud] == ids[drive]
    assert {parents[stage] for stage in STAGES} == {ids[turn]}
    begin, end = spans[turn].span.start_time_unix_nano, spans[turn].span.end_time_unix_nano
    for stage in STAGES:
        span = spans[stage].span
        assert begin <= span.start_time_unix_nano <= span.end_time_unix_nano <= end
    told = "".join(str(each.span) for each in spans.values())
    assert reply
    for secret in (QUESTION, reply, stack.api_key, stack.service_token):
        assert secret not in told
