"""The console with a microphone and a loudspeaker, which the machines of tests do not have."""

import asyncio
import io
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from parley.console.call import Wishes, hold
from parley.console.sound import Sound, sound_of_machine
from parley.console.view import View
from parley.gateway_client.connection import gateway_at
from tests.examples.speech import SPOKEN_QUESTION
from tests.support.loudness import silent, voiced
from tests.support.stack import Stack

FRAME_BYTES = 640
pytestmark = pytest.mark.usefixtures("nothing_on_air")


@dataclass(slots=True)
class ScriptedMicrophone:
    """Hears a question once somebody asks it, and nothing before and after."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def frames(self) -> AsyncIterator[bytes]:
        """Yield 20 ms at a time, as time passes."""
        question = voiced(1)
        while True:
            frame = silent(0.02)
            if self.asked.is_set() and question:
                frame, question = question[:FRAME_BYTES], question[FRAME_BYTES:]
            yield frame
            await asyncio.sleep(0.02)


@dataclass(slots=True)
class ScriptedLoudspeaker:
    """Notes when it has played something that can be heard."""

    heard: asyncio.Event = field(default_factory=asyncio.Event)
    sizes: set[int] = field(default_factory=set)

    def play(self, pcm: bytes) -> None:
        """Take samples."""
        self.sizes.add(len(pcm))
        if np.abs(np.frombuffer(pcm, np.int16)).max() > 0:
            self.heard.set()


async def test_a_spoken_question_is_heard_and_so_is_the_answer(stack: Stack) -> None:
    microphone, loudspeaker = ScriptedMicrophone(), ScriptedLoudspeaker()
    shown = io.StringIO()

    async def nothing_typed() -> AsyncIterator[str]:
        async with asyncio.timeout(60):
            await loudspeaker.heard.wait()
            loudspeaker.heard.clear()
            microphone.asked.set()
            while "avatar speaks" not in shown.getvalue().partition(SPOKEN_QUESTION)[2]:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            await loudspeaker.heard.wait()
        # The end of what is typed hangs up.
        return
        yield

    async with gateway_at(stack.gateway_url, stack.api_key) as gateway:
        await hold(
            gateway,
            View(Console(file=shown, width=200)),
            Wishes(persona_id="baker"),
            nothing_typed(),
            sound=Sound(microphone=microphone, loudspeaker=loudspeaker),
        )
    text = shown.getvalue()
    # Its greeting came once it could be heard, and the user's voice cut it off.
    assert text.startswith("Bea: Good morning")
    assert f"You: {SPOKEN_QUESTION}\nBea: We open at seven and close at six.\n" in text
    # 20 ms of stereo at 48 kHz.
    assert loudspeaker.sizes == {3840}


LIBRARIES = {
    "raise ImportError": ["it takes the package sounddevice"],
    "raise OSError('PortAudio library not found')": ["PortAudio is missing"],
    """
class PortAudioError(Exception): pass
def RawInputStream(**options): raise PortAudioError("Error querying device -1")
RawOutputStream = RawInputStream
""": ["no microphone", "no loudspeaker"],
}


@pytest.mark.parametrize(("library", "missing"), LIBRARIES.items())
async def test_what_a_machine_lacks_is_said(
    library: str, missing: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sounddevice.py").write_text(library)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    with sound_of_machine() as sound:
        assert sound.microphone is None
        assert sound.loudspeaker is None
        assert all(part in told for part, told in zip(missing, sound.missing, strict=True))
