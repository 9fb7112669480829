"""Fun-ASR: a hypothesis for each packet of sound, two sentences for each utterance."""

from contextlib import AbstractAsyncContextManager
from typing import Any

from tests.conformance.servers.dashscope_tasks import TaskConnection, TaskServer

HEARTBEAT = {"sentence": {"heartbeat": True, "sentence_end": False, "text": "", "words": []}}


def open_server() -> AbstractAsyncContextManager[TaskServer]:
    """The server."""
    return TaskServer.open(_transcribe)


async def _transcribe(task: TaskConnection) -> None:
    heard = 0
    async for packet in task.inputs():
        assert isinstance(packet, bytes)
        heard += 1
        await task.result(HEARTBEAT)
        if heard == 1:
            await task.result({"sentence": sentence("你好", 0, is_complete=False)})
        elif heard == 2:
            await task.result({"sentence": sentence("你好。", 0, is_complete=True)})
        else:
            await task.result({"sentence": sentence("今天", 300, is_complete=False)})
    if heard:
        await task.result({"sentence": sentence("今天好吗?", 300, is_complete=True)})


def sentence(text: str, begin_ms: int, *, is_complete: bool) -> dict[str, Any]:
    """A sentence whose characters last 100 ms each."""
    words = [
        {
            "text": character,
            "punctuation": "",
            "begin_time": begin_ms + place * 100,
            "end_time": begin_ms + place * 100 + 100,
        }
        for place, character in enumerate(text)
        if character.isalnum()
    ]
    return {
        "begin_time": begin_ms,
        "end_time": begin_ms + 100 * len(text) if is_complete else None,
        "text": text,
        "heartbeat": False,
        "sentence_end": is_complete,
        "words": words,
    }
