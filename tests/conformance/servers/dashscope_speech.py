"""CosyVoice: each text is a sentence, each of its characters 0.1 s of sound and a word."""

from contextlib import AbstractAsyncContextManager

from tests.conformance.servers.dashscope_tasks import TaskConnection, TaskServer

CHARACTER_BYTES = 4_800
FRAME_BYTES = 3_001


def open_server() -> AbstractAsyncContextManager[TaskServer]:
    """The server; its frames end within samples."""
    return TaskServer.open(_speak)


async def _speak(task: TaskConnection) -> None:
    index = 0
    async for text in task.inputs():
        assert isinstance(text, str)
        await _sentence(task, text, index)
        index += 1


async def _sentence(task: TaskConnection, text: str, index: int) -> None:
    nothing = {"index": index, "words": []}
    await task.result({"sentence": nothing, "type": "sentence-begin", "original_text": text})
    sound = b"\x01\x02" * (CHARACTER_BYTES // 2) * len(text)
    for start in range(0, len(sound), FRAME_BYTES):
        await task.result({"sentence": nothing, "type": "sentence-synthesis"})
        await task.sound(sound[start : start + FRAME_BYTES])
    words = [
        {
            "text": character,
            "begin_index": place,
            "end_index": place + 1,
            "begin_time": place * 100,
            "end_time": place * 100 + 100,
        }
        for place, character in enumerate(text)
    ]
    sentence = {"index": index, "words": words if _wants_words(task) else []}
    await task.result({"sentence": sentence, "type": "sentence-end", "original_text": text})


def _wants_words(task: TaskConnection) -> bool:
    return bool(task.log.run["parameters"].get("word_timestamp_enabled"))
