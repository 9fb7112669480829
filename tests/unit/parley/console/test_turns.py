"""The console writes what becomes of turns."""

import io
from collections.abc import AsyncIterator
from typing import Any, cast

from rich.console import Console

from parley.console.line import Line
from parley.console.turns import Turns
from parley.console.view import View
from parley.gateway_client.answers import Event, Json
from parley.gateway_client.gateway import Gateway


class ScriptedLine:
    """Brings the events that a test names."""

    def __init__(self, *events: Event) -> None:
        self._events = events

    async def events(self) -> AsyncIterator[Event]:
        for each in self._events:
            yield each


async def written(*events: Event) -> str:
    file = io.StringIO()
    line = cast(Line, ScriptedLine(*events))
    await Turns(cast(Gateway, None), View(Console(file=file, width=200)), line).follow()
    return file.getvalue()


def failed(turn_id: int, reason: str) -> Event:
    problem: Json = {"reason": reason, "title": "Not recognized", "detail": "Say it again."}
    data: dict[str, Any] = {"turnId": turn_id, "problem": problem, "reply": "", "heard": ""}
    return Event(name="turn_failed", data=data)


async def test_a_turn_may_fail_before_it_has_started() -> None:
    # The user's words were not recognized, and nothing is known of the turn.
    assert await written(failed(1, "NO_SPEECH")) == ""
    assert "Not recognized (RECOGNITION_UNAVAILABLE): Say it again." in await written(
        failed(1, "RECOGNITION_UNAVAILABLE")
    )
