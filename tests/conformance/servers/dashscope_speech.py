"""CosyVoice: each text is a sentence, and each of its characters a word."""

import asyncio
from collections.abc import Mapping
from typing import Any

from services.speech.vendors.dashscope_speech import VENDOR
from services.speech.vendors.pooled_speech import SAMPLE_RATE_HERTZ
from tests.conformance.script import Spoken, pieces, sound_of, sounds_at
from tests.conformance.servers.dashscope_tasks import TaskConnection, TaskServer
from tests.conformance.subject import Subject


class SpeechServer(TaskServer[Spoken]):
    """A server of CosyVoice; `finished` is set at the end of the first reply."""

    def __init__(self) -> None:
        super().__init__()
        self.finished = asyncio.Event()

    def begin(self, run: Mapping[str, Any]) -> Spoken:
        """Return what is remembered of a reply."""
        parameters = run["parameters"]
        return Spoken(
            voice_id=parameters["voice"],
            language=(parameters.get("language_hints") or [""])[0],
            speed=parameters["rate"],
            delivery=parameters.get("instruction", ""),
        )

    async def perform(self, task: TaskConnection[Spoken]) -> None:
        """Speak each text when it comes."""
        is_timed = self.runs[-1]["parameters"].get("word_timestamp_enabled", False)
        index = 0
        async for text in task.inputs():
            assert isinstance(text, str)
            task.session.texts.append(text)
            await _speak(task, text, {"index": index, "words": []}, is_timed=is_timed)
            index += 1
        self.finished.set()


async def _speak(
    task: TaskConnection[Spoken], text: str, sentence: Mapping[str, Any], *, is_timed: bool
) -> None:
    await task.mark({"sentence": sentence, "type": "sentence-begin", "original_text": text})
    for pcm in pieces(sound_of(text, SAMPLE_RATE_HERTZ)):
        await task.mark({"sentence": sentence, "type": "sentence-synthesis"})
        await task.sound(pcm)
    timed = {**sentence, "words": _words(text) if is_timed else []}
    await task.result({"sentence": timed, "type": "sentence-end", "original_text": text})


def _words(text: str) -> list[dict[str, Any]]:
    return [
        {
            "text": character,
            "begin_index": place,
            "end_index": place + 1,
            "begin_time": round(1000 * sounds_at(text, place)),
            "end_time": round(1000 * sounds_at(text, place + 1)),
        }
        for place, character in enumerate(text)
        if character.strip()
    ]


SUBJECTS = (Subject(name="dashscope-cosyvoice", vendor=VENDOR, server=SpeechServer.open),)
