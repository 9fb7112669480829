"""What the console writes: who says what, as it is said."""

import asyncio
from collections.abc import Mapping

from rich.console import Console

from parley.console.captions import Captions
from parley.gateway_client.answers import Json
from parley.terminal.waterfall import waterfall

_TICK_S = 0.02


class View:
    """Writes a conversation to a terminal or a file, top to bottom."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._is_within_line = False
        self._name = "Reply"

    def note(self, text: str) -> None:
        """Write something about the call."""
        self._begin_line()
        self._console.print(text, style="dim", markup=False, highlight=False, soft_wrap=True)

    def fail(self, text: str) -> None:
        """Write what went wrong, and has not ended the call."""
        self._begin_line()
        self._console.print(text, style="red", markup=False, highlight=False, soft_wrap=True)

    def name(self, name: str) -> None:
        """Call the digital human so from now on."""
        self._name = name

    def question(self, text: str) -> None:
        """Write what the user said."""
        self._begin_line()
        self._write("You: ", style="bold")
        self._write(_on_one_line(text))
        self._begin_line()

    async def speak(self, captions: Captions) -> None:
        """Write a reply word by word from its first sound on, which is now; until cancelled."""
        loop = asyncio.get_running_loop()
        begin = loop.time()
        while True:
            is_first = captions.is_unseen
            words = captions.due(loop.time() - begin)
            if words and is_first:
                self._begin_reply()
            self._write(_on_one_line(words))
            await asyncio.sleep(_TICK_S)

    def end(self, captions: Captions, turn: Json) -> None:
        """Write the rest of what was heard, and how long the user waited."""
        rest = captions.rest(turn["heard"])
        if captions.is_unseen:
            self._begin_reply()
        self._write(_on_one_line(rest or ""))
        if turn.get("interrupted"):
            self._write(" (cut off)", style="yellow")
        self._begin_line()
        if rest is None:
            self.note(f"Heard of it: {_on_one_line(turn['heard']) or 'nothing'}")
        self._show(turn.get("timings", {}))

    def _begin_reply(self) -> None:
        self._begin_line()
        self._write(f"{self._name}: ", style="bold green")

    def _show(self, timings: Mapping[str, float]) -> None:
        if timings:
            self._console.print(waterfall(timings), style="dim", highlight=False)

    def _begin_line(self) -> None:
        if self._is_within_line:
            self._console.out(highlight=False)
            self._is_within_line = False

    def _write(self, text: str, *, style: str | None = None) -> None:
        if text:
            self._console.out(text, end="", style=style, highlight=False)
            self._is_within_line = True


def _on_one_line(text: str) -> str:
    return text.replace("\n", " ").replace("\t", " ")
