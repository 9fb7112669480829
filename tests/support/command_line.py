"""The `parley` command as people type it, and what it says."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from parley.plan.listeners import LISTENERS
from parley.processes.running import Command, Running, running
from tests.support.compose import ROOT, free_ports
from tests.support.confinement import Confinement
from tests.support.stack import SHARING

UP = "Parley is up: "
WITHOUT_MODELS = {
    "SPEECH_RECOGNIZER": "openai",
    "SPEECH_CHAT": "openai",
    "SPEECH_SYNTHESIZER": "openai",
    "OPENAI_API_KEY": "nobody-is-asked",
}
"""What `parley up` needs to start without loading models, where nobody talks."""

SAY_TIMEOUT_S = 100.0


@dataclass
class Said:
    """What a command has written, and waiting for it to write something."""

    lines: list[str] = field(default_factory=list)
    is_all: bool = False
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    def __call__(self, name: str, line: str) -> None:
        self.lines.append(line)
        self._more.set()

    @property
    def text(self) -> str:
        """All of it."""
        return "\n".join(self.lines)

    async def until(self, pattern: str) -> str:
        """Return the first line with the pattern when it has been written."""
        with suppress(TimeoutError):
            async with asyncio.timeout(SAY_TIMEOUT_S):
                while not (found := self._find(pattern)) and not self.is_all:
                    self._more.clear()
                    await self._more.wait()
        assert found, f"it never said {pattern!r}:\n{self.text}"
        return found

    def finish(self) -> None:
        """There will be no more."""
        self.is_all = True
        self._more.set()

    def _find(self, pattern: str) -> str:
        return next((line for line in self.lines if re.search(pattern, line)), "")


def environment(**changes: str) -> dict[str, str]:
    """This environment with ports of its own, wide lines, and no settings of anyone's .env."""
    ports = free_ports(len(LISTENERS))
    settings = {each.variables[-1]: port for each, port in zip(LISTENERS, ports, strict=True)}
    path = {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'gen'}", "COLUMNS": "200"}
    # Nobody talks with what `parley up` starts here; the language model takes longest to load.
    models = {"PARLEY_LLM": "none", **SHARING["speech"]}
    return dict(os.environ) | settings | path | models | changes


@asynccontextmanager
async def parley(
    *words: str, env: Mapping[str, str], confinement: Confinement | None = None
) -> AsyncIterator[tuple[Running, Said]]:
    """Run a command until the block is left."""
    said = Said()
    whole = (sys.executable, "-m", "parley", *words)
    command = Command(
        name="parley",
        words=confinement.words(whole) if confinement else whole,
        environment=env,
    )
    async with running(command, on_line=said, grace_s=30) as process:
        end = asyncio.create_task(process.wait())
        end.add_done_callback(lambda _: said.finish())
        yield process, said
    await end


async def outcome(
    *words: str, env: Mapping[str, str], confinement: Confinement | None = None
) -> tuple[int, str]:
    """The exit code and output of a command that ends by itself."""
    async with parley(*words, env=env, confinement=confinement) as (process, said):
        return await process.wait(), said.text
