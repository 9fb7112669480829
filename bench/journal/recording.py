"""`python -m bench.journal.recording`: records the conversation that `bench.journal` replays.

All processes run as in docker-compose.yml, with real recognition, dialogue and voice. The events
are written as the journal has them, one JSON object a line, beside this module.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from pathlib import Path

import httpx
from google.protobuf import json_format

from bench.conversation.figures import PAUSE_S
from digitalhuman.conversation.v1.conversation_pb2 import ConversationEvent
from digitalhuman.task.v1 import task_pb2 as pb
from digitalhuman.task.v1.task_pb2_grpc import TaskServiceStub
from services.runtime.callers.requests import outgoing_metadata
from tests.support.stack import Stack, running_stack

PATH = Path(__file__).with_suffix(".jsonl")
SPEECH = Path(__file__).parents[2] / "tests/data/speech"
PERSONA = "companion"
QUESTIONS: Sequence[str | Path] = (
    SPEECH / "en_kokoro_am_puck_7.wav",
    "How should I spend a rainy afternoon?",
    "What makes a good friend?",
    SPEECH / "en_kokoro_am_puck_11.wav",
    "Why do people love the sea?",
)
"""Two are answered as the persona's author wrote, the others by the language model."""


def recorded() -> Sequence[ConversationEvent]:
    """Return the recorded events."""
    lines = PATH.read_text().splitlines()
    return [json_format.Parse(line, ConversationEvent()) for line in lines]


async def record() -> None:
    """Have the conversation, and write its events."""
    async with running_stack() as stack:
        task_id = await _talk(stack)
        events = await _events(stack, task_id)
    told = [
        json_format.MessageToJson(each, indent=None, ensure_ascii=False) + "\n" for each in events
    ]
    PATH.write_text("".join(told))


async def _talk(stack: Stack) -> str:
    headers = {"Authorization": f"Bearer {stack.api_key}"}
    async with httpx.AsyncClient(
        base_url=f"{stack.gateway_url}/api/digital-human", headers=headers, timeout=120
    ) as http:
        order = {
            "roomId": "bench",
            "streamId": "bench",
            "personaId": PERSONA,
            "lang": "en",
            "greeting": "",
        }
        task_id = str((await _answer(http.post("/create-task", json=order)))["taskId"])
        for question in QUESTIONS:
            if isinstance(question, Path):
                files = {"audio": (question.name, question.read_bytes())}
                await _answer(http.post("/talk-to-ai", data={"taskId": task_id}, files=files))
            else:
                written = {"taskId": task_id, "text": question}
                await _answer(http.post("/talk-to-ai", json=written))
            await asyncio.sleep(PAUSE_S)
        return task_id


async def _answer(request: Awaitable[httpx.Response]) -> dict[str, object]:
    response = await request
    response.raise_for_status()
    answer: dict[str, object] = response.json()
    return answer


async def _events(stack: Stack, task_id: str) -> Sequence[ConversationEvent]:
    async with stack.channel("task") as channel:
        answer: pb.GetConversationResponse = await TaskServiceStub(channel).GetConversation(
            pb.GetConversationRequest(task_id=task_id, after_sequence=0),
            metadata=outgoing_metadata(stack.service_token),
        )
    assert not answer.has_more
    return answer.events


if __name__ == "__main__":
    asyncio.run(record())
