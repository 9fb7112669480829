"""Azure's voices: each text is a sentence, each of its characters 0.1 s of sound.

What is said about a sentence comes before its sound.
"""

from contextlib import AbstractAsyncContextManager
from typing import Any

from tests.conformance.servers.azure_turns import TurnConnection, TurnServer

CHARACTER_BYTES = 4_800
CHARACTER_TICKS = 1_000_000
FRAME_BYTES = 3_001


def open_server() -> AbstractAsyncContextManager[TurnServer]:
    """The server; its frames end within samples."""
    return TurnServer.open(_speak)


async def _speak(turn: TurnConnection) -> None:
    spoken = 0
    async for text in turn.inputs():
        assert isinstance(text, str)
        await _sentence(turn, text, spoken)
        spoken += len(text)


async def _sentence(turn: TurnConnection, text: str, spoken: int) -> None:
    start = spoken * CHARACTER_TICKS
    words = [
        _boundary("WordBoundary", word, start + text.index(word) * CHARACTER_TICKS)
        for word in text.strip(",.! ").split(" ")
    ]
    viseme = {"Type": "Viseme", "Data": {"Offset": start, "VisemeId": 19}}
    sentence = _boundary("SentenceBoundary", text, start)
    await turn.say("audio.metadata", {"Metadata": [sentence, *words]})
    await turn.say("audio.metadata", {"Metadata": [viseme, {"Type": "Applause", "Data": {}}]})
    sound = b"\x01\x02" * (CHARACTER_BYTES // 2) * len(text)
    for place in range(0, len(sound), FRAME_BYTES):
        await turn.sound(sound[place : place + FRAME_BYTES])


def _boundary(kind: str, text: str, offset: int) -> dict[str, Any]:
    return {
        "Type": kind,
        "Data": {
            "Offset": offset,
            "Duration": len(text) * CHARACTER_TICKS,
            "text": {"Text": text, "Length": len(text), "BoundaryType": kind},
        },
    }
