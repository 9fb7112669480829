"""Azure's recognizers: hypotheses, then phrases, which end at pauses."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from services.speech.vendors.azure_transcription import VENDOR
from tests.conformance.script import WORD_S, Heard, Utterance
from tests.conformance.servers.azure_turns import TICKS_PER_S, TurnConnection, TurnServer
from tests.conformance.subject import Subject

Step: TypeAlias = tuple[str, Mapping[str, Any]]

HEADER_BYTES = 44


def hypothesis(text: str) -> Step:
    """A hypothesis of the phrase that is being said."""
    return "speech.hypothesis", {"Text": text, "Offset": 0, "Duration": TICKS_PER_S}


def phrase(text: str, start_s: float = 0.0, language: str = "") -> Step:
    """A phrase."""
    words = [
        {
            "Word": word.strip(",.?").lower(),
            "Offset": round((start_s + place * WORD_S) * TICKS_PER_S),
            "Duration": round(WORD_S * TICKS_PER_S),
        }
        for place, word in enumerate(text.split())
    ]
    best = {"Confidence": 0.9, "Lexical": text, "ITN": text, "Display": text, "Words": words}
    document: dict[str, Any] = {"RecognitionStatus": "Success", "NBest": [best]}
    if language:
        document["PrimaryLanguage"] = {"Language": language, "Confidence": "High"}
    return "speech.phrase", document


def status(name: str) -> Step:
    """A phrase without words."""
    return "speech.phrase", {"RecognitionStatus": name, "Offset": 0, "Duration": 0}


START_DETECTED: Step = ("speech.startDetected", {"Offset": 0})
END_DETECTED: Step = ("speech.endDetected", {"Offset": 0})
END = (END_DETECTED, status("EndOfDictation"))


class TranscriptionServer(TurnServer[Heard]):
    """A server of Azure's recognizers; `steps` and `ending` say it message by message.

    The first answers each packet, the second the end of the sound.
    """

    context_path = "speech.context"
    garbage = "{"
    unknown = ("Path:applause\r\nX-RequestId:another\r\n\r\nbravo",)

    def __init__(self) -> None:
        super().__init__()
        self.utterance = Utterance()
        self.steps: Sequence[Sequence[Step]] | None = None
        self.ending: Sequence[Step] = END

    def begin(self, context: Mapping[str, Any], query: Mapping[str, list[str]]) -> Heard:
        """Return what is remembered of an utterance."""
        locales = query.get("language") or context["languageId"]["languages"]
        groups = context.get("dgi", {"groups": []})["groups"]
        return Heard(
            languages=tuple(locale.partition("-")[0] for locale in locales),
            hot_words=tuple(item["text"] for group in groups for item in group["items"]),
        )

    async def perform(self, turn: TurnConnection[Heard]) -> None:
        """Answer each packet, and the end of the sound."""
        steps, ending = self._script() if self.steps is None else (self.steps, self.ending)
        answers = iter(steps)
        sound = turn.inputs()
        header = await anext(sound)
        assert isinstance(header, bytes)
        assert (header[:4], len(header)) == (b"RIFF", HEADER_BYTES)
        async for packet in sound:
            assert isinstance(packet, bytes)
            turn.session.audio += packet
            for step in next(answers, ()):
                await turn.answer(*step)
        for step in ending:
            await turn.answer(*step)

    def _script(self) -> tuple[Sequence[Sequence[Step]], Sequence[Step]]:
        partials = [(hypothesis(text),) for text in self.utterance.partials]
        final = self.utterance.final
        if not self.utterance.ends_itself:
            return partials, (phrase(final), *END) if final else END
        first, _, rest = final.partition(" ")
        last = phrase(rest, WORD_S)
        return [*partials, (phrase(first),), (hypothesis(rest),), (last, END_DETECTED)], END


SUBJECTS = (Subject(name="azure-transcription", vendor=VENDOR, server=TranscriptionServer.open),)
