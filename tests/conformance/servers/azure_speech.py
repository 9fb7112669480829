"""Azure's voices: each text is a sentence, of which word times come first."""

from collections.abc import Mapping
from typing import Any

from services.speech.vendors.azure_speech import VENDOR
from services.speech.vendors.pooled_speech import SAMPLE_RATE_HERTZ
from tests.conformance.script import Spoken, pieces, sound_of, sounds_at
from tests.conformance.servers.azure_turns import TICKS_PER_S, TurnConnection, TurnServer
from tests.conformance.subject import Subject


class SpeechServer(TurnServer[Spoken]):
    """A server of Azure's voices; `close_with` is how it answers a text, if set."""

    context_path = "synthesis.context"
    garbage = "{"
    unknown = ("Path:applause\r\nX-RequestId:another\r\n\r\nbravo",)

    def __init__(self) -> None:
        super().__init__()
        self.close_with: tuple[int, str] | None = None

    def begin(self, context: Mapping[str, Any], query: Mapping[str, list[str]]) -> Spoken:
        """Return what is remembered of a reply."""
        voice = context["synthesis"]["input"]
        return Spoken(
            voice_id=voice["voiceName"],
            language=voice["language"].partition("-")[0],
            speed=float(voice.get("rate", 1)),
            delivery=voice.get("style", ""),
        )

    async def perform(self, turn: TurnConnection[Spoken]) -> None:
        """Speak each text when it comes."""
        async for text in turn.inputs():
            assert isinstance(text, str)
            if self.close_with is not None:
                await turn.close(*self.close_with)
            before = "".join(turn.session.texts)
            turn.session.texts.append(text)
            await _speak(turn, before, text)


async def _speak(turn: TurnConnection[Spoken], before: str, text: str) -> None:
    start = sounds_at(before, len(before))
    words = []
    place = 0
    for word in text.split():
        place = text.index(word, place)
        words.append(_boundary("WordBoundary", word, start + sounds_at(text, place)))
        place += len(word)
    sentence = _boundary("SentenceBoundary", text, start)
    await turn.say("audio.metadata", {"Metadata": [sentence, *words]})
    await turn.say("audio.metadata", {"Metadata": [{"Type": "Applause", "Data": {}}]})
    for pcm in pieces(sound_of(text, SAMPLE_RATE_HERTZ)):
        await turn.sound(pcm)


def _boundary(kind: str, text: str, start_s: float) -> dict[str, Any]:
    return {
        "Type": kind,
        "Data": {
            "Offset": round(start_s * TICKS_PER_S),
            "Duration": round(sounds_at(text, len(text)) * TICKS_PER_S),
            "text": {"Text": text, "Length": len(text), "BoundaryType": kind},
        },
    }


SUBJECTS = (Subject(name="azure-speech", vendor=VENDOR, server=SpeechServer.open),)
