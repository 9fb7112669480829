"""Fun-ASR and Paraformer: hypotheses of the first sentence, then all sentences."""

import re
from collections.abc import Mapping
from typing import Any

from services.speech.vendors.dashscope_transcription import VENDOR
from tests.conformance.script import WORD_S, Heard, Utterance
from tests.conformance.servers.dashscope_tasks import TaskConnection, TaskServer
from tests.conformance.subject import Subject

_SENTENCE = re.compile(r"[^.。?？!！]+[.。?？!！]*\s*")
_HEARTBEAT = {"sentence": {"heartbeat": True, "sentence_end": False, "text": "", "words": []}}


class TranscriptionServer(TaskServer[Heard]):
    """A server of Fun-ASR and Paraformer."""

    def __init__(self) -> None:
        super().__init__()
        self.utterance = Utterance()

    def begin(self, run: Mapping[str, Any]) -> Heard:
        """Return what is remembered of an utterance."""
        context = run["input"].get("context")
        words = context[0]["content"][0]["text"].split(", ") if context else []
        languages = run["parameters"].get("language_hints", [])
        return Heard(languages=tuple(languages), hot_words=tuple(words))

    async def perform(self, task: TaskConnection[Heard]) -> None:
        """Answer each packet with a hypothesis, and the end of the sound with sentences."""
        partials = iter(self.utterance.partials)
        async for packet in task.inputs():
            assert isinstance(packet, bytes)
            task.session.audio += packet
            await task.mark(_HEARTBEAT)
            if text := next(partials, ""):
                await task.result({"sentence": _sentence(text, 0, is_complete=False)})
        start_s = 0.0
        for text in _SENTENCE.findall(self.utterance.final):
            await task.result({"sentence": _sentence(text.strip(), start_s, is_complete=True)})
            start_s += WORD_S * len(text.split())


def _sentence(text: str, start_s: float, *, is_complete: bool) -> dict[str, Any]:
    words = [
        {
            "text": word.strip(",.。?"),
            "punctuation": word[len(word.strip(",.。?")) :],
            "begin_time": round(1000 * (start_s + place * WORD_S)),
            "end_time": round(1000 * (start_s + (place + 1) * WORD_S)),
        }
        for place, word in enumerate(text.split())
    ]
    return {
        "begin_time": round(1000 * start_s),
        "end_time": words[-1]["end_time"] if is_complete else None,
        "text": text,
        "heartbeat": False,
        "sentence_end": is_complete,
        "words": words,
    }


_NO_ENDS = dict.fromkeys(
    ("turn_end", "likely_turn_end"), "its sentences end at pauses of a fixed length"
)

SUBJECTS = (
    Subject(
        name="dashscope-fun-asr",
        vendor=VENDOR,
        server=TranscriptionServer.open,
        without=_NO_ENDS,
    ),
    Subject(
        name="dashscope-paraformer",
        vendor=VENDOR,
        server=TranscriptionServer.open,
        options={"model": "paraformer-realtime-v2"},
        without={**_NO_ENDS, "hot_words": "it takes only lists that are kept at DashScope"},
    ),
)
