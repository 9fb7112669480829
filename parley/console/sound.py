"""The microphone and the loudspeaker of this machine, where it has them."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

MICROPHONE_HZ = 16_000
LOUDSPEAKER_HZ = 48_000
LOUDSPEAKER_CHANNELS = 2
_FRAME_SAMPLES = MICROPHONE_HZ // 50
_KEPT_FRAMES = 50
"""What is recorded while nobody takes it: a second, the latest."""
_BYTES_PER_FRAME = 2 * LOUDSPEAKER_CHANNELS
_AHEAD_S = 0.2


class Microphone(Protocol):
    """Records."""

    def frames(self) -> AsyncIterator[bytes]:
        """Yield 20 ms at a time: 16-bit samples, mono, 16 kHz; it never ends."""
        ...


class Loudspeaker(Protocol):
    """Plays."""

    def play(self, pcm: bytes) -> None:
        """Play 16-bit samples, stereo, 48 kHz, after those before; never waits."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """What there is to speak into and to listen to, and in words what is missing."""

    microphone: Microphone | None = None
    loudspeaker: Loudspeaker | None = None
    missing: tuple[str, ...] = ()


@contextmanager
def sound_of_machine() -> Iterator[Sound]:
    """Open the default devices; what cannot be opened is missing. Needs a running loop."""
    with ExitStack() as stack:
        yield _opened(stack)


def _opened(stack: ExitStack) -> Sound:
    try:
        import sounddevice
    except ImportError:
        return Sound(missing=("no sound: it takes the package sounddevice (parley[console])",))
    except OSError:
        reason = "no sound: PortAudio is missing (apt install libportaudio2)"
        return Sound(missing=(reason,))
    microphone, loudspeaker, missing = None, None, []
    try:
        microphone = _open_microphone(sounddevice, stack)
    except sounddevice.PortAudioError:
        missing.append("no microphone")
    try:
        loudspeaker = _open_loudspeaker(sounddevice, stack)
    except sounddevice.PortAudioError:
        missing.append("no loudspeaker")
    return Sound(microphone=microphone, loudspeaker=loudspeaker, missing=tuple(missing))


def _open_microphone(library: Any, stack: ExitStack) -> "_Microphone":
    microphone = _Microphone(asyncio.get_running_loop())
    stream = library.RawInputStream(
        samplerate=MICROPHONE_HZ,
        blocksize=_FRAME_SAMPLES,
        channels=1,
        dtype="int16",
        callback=microphone.take,
    )
    stack.enter_context(stream)
    return microphone


def _open_loudspeaker(library: Any, stack: ExitStack) -> "_Loudspeaker":
    stream = library.RawOutputStream(
        samplerate=LOUDSPEAKER_HZ,
        channels=LOUDSPEAKER_CHANNELS,
        dtype="int16",
        latency=_AHEAD_S,
    )
    return _Loudspeaker(stack.enter_context(stream))


class _Microphone:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._frames: asyncio.Queue[bytes] = asyncio.Queue(_KEPT_FRAMES)

    async def frames(self) -> AsyncIterator[bytes]:
        while True:
            yield await self._frames.get()

    def take(self, recorded: Any, *_: Any) -> None:
        """Called by PortAudio's thread."""
        self._loop.call_soon_threadsafe(self._keep, bytes(recorded))

    def _keep(self, frame: bytes) -> None:
        if self._frames.full():
            self._frames.get_nowait()
        self._frames.put_nowait(frame)


class _Loudspeaker:
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def play(self, pcm: bytes) -> None:
        # What does not fit is late: it would delay all that follows.
        room = self._stream.write_available * _BYTES_PER_FRAME
        if len(pcm) <= room:
            self._stream.write(pcm)
