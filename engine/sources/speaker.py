"""The port for a voice of DriveByText; the engine has none of its own."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.audio.sound import PcmFormat
from engine.contract.parameters import TtsConfig
from engine.tasks.drives import Drive


@dataclass(frozen=True, slots=True, kw_only=True)
class Timbre:
    """One voice on offer."""

    timbre_id: str
    name: str


class Speaker(Protocol):
    """Turns text into mono PCM."""

    sample_rate: int

    async def timbres(self) -> Sequence[Timbre]:
        """Return the voices currently on offer."""

    def speak(self, text: str, config: TtsConfig) -> AsyncIterator[bytes]:
        """Yield whole 16-bit samples; raises `engine.tasks.stage.FeedError`."""


class Mute:
    """The default: offers no timbre, so every DriveByText is answered with 400000004."""

    sample_rate = 24_000

    async def timbres(self) -> Sequence[Timbre]:
        return ()

    async def speak(self, text: str, config: TtsConfig) -> AsyncIterator[bytes]:
        return
        yield b""  # makes it a generator


async def feed_speech(drive: Drive, *, speaker: Speaker, text: str, config: TtsConfig) -> None:
    """Have a speaker fill the input of a drive."""
    pcm_input = drive.open(PcmFormat(sample_rate=speaker.sample_rate))
    async for pcm in speaker.speak(text, config):
        await pcm_input.write(pcm)
