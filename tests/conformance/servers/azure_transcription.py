"""Azure's recognizers: each packet of sound is the next step of what was scripted."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

from tests.conformance.servers.azure_turns import TurnConnection, TurnServer

Step: TypeAlias = tuple[str, Mapping[str, Any]]


def hypothesis(text: str) -> Step:
    """A hypothesis."""
    return "speech.hypothesis", {"Text": text, "Offset": 0, "Duration": 1_000_000}


def phrase(text: str, offset_ticks: int = 0, language: str = "") -> Step:
    """A phrase whose words last 100 ms each."""
    words = [
        {
            "Word": word,
            "Offset": offset_ticks + place * 1_000_000,
            "Duration": 1_000_000,
        }
        for place, word in enumerate(text.strip(".?").lower().split())
    ]
    best = {"Confidence": 0.9, "Lexical": text, "ITN": text, "Display": text, "Words": words}
    document: dict[str, Any] = {"RecognitionStatus": "Success", "NBest": [best]}
    if language:
        document["PrimaryLanguage"] = {"Language": language, "Confidence": "High"}
    return "speech.phrase", document


def status(name: str) -> Step:
    """A phrase without words."""
    return "speech.phrase", {"RecognitionStatus": name, "Offset": 0, "Duration": 0}


END_DETECTED: Step = ("speech.endDetected", {"Offset": 0})
START_DETECTED: Step = ("speech.startDetected", {"Offset": 0})


def open_server(
    steps: Sequence[Sequence[Step]], ending: Sequence[Step] = ()
) -> AbstractAsyncContextManager[TurnServer]:
    """The server: `steps` answer the packets of sound, and `ending` the end of it."""

    async def recognize(turn: TurnConnection) -> None:
        heard = -1  # The first message is the header of the sound.
        async for _ in turn.inputs():
            for step in steps[heard] if 0 <= heard < len(steps) else ():
                await turn.say(*step)
            heard += 1
        for step in ending:
            await turn.say(*step)

    return TurnServer.open(recognize)
