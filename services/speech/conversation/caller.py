"""Replies whose audio goes to the caller: alone, or beside an avatar."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from services.runtime.failures.errors import ServiceError
from services.runtime.pcm import byte_count, duration_s
from services.speech.conversation.event_log import Listener, ProducedAudio
from services.speech.playback.ports import Drive, DriveWatcher, Playback, PlaybackMethod, Speaker

PRODUCED_AUDIO_S = 0.1
"""The most audio that is handed over at once."""


class CallerSpeaker:
    """Hands the audio to one listener, which alone knows when it plays: all counts as heard."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    async def gesture(self, action: str) -> None:
        """Nobody is seen."""

    @asynccontextmanager
    async def open(
        self, *, turn_id: int, sample_rate_hertz: int, watcher: DriveWatcher
    ) -> AsyncIterator["CallerDrive"]:
        """A drive that is ready at once."""
        watcher.drive_ready()
        yield CallerDrive(
            self._listener, turn_id=turn_id, sample_rate_hertz=sample_rate_hertz, watcher=watcher
        )


class CallerDrive:
    """One reply for the caller."""

    def __init__(
        self, listener: Listener, *, turn_id: int, sample_rate_hertz: int, watcher: DriveWatcher
    ) -> None:
        self._listener = listener
        self._turn_id = turn_id
        self._rate = sample_rate_hertz
        self._watcher = watcher
        self._playback = Playback(method=PlaybackMethod.CALLER)

    @property
    def playback(self) -> Playback:
        """Everything that was handed over."""
        return self._playback

    async def send(self, pcm: bytes) -> bool:
        """Hand over whole samples; waits while the caller is behind. Raises ServiceError."""
        if self._playback.first_sent_at is None:
            now = asyncio.get_running_loop().time()
            self._playback = replace(self._playback, first_sent_at=now)
            self._watcher.playback_started(PlaybackMethod.CALLER)
        size = byte_count(PRODUCED_AUDIO_S, self._rate)
        for at in range(0, len(pcm), size):
            piece = pcm[at : at + size]
            await self._listener.put_audio(ProducedAudio(turn_id=self._turn_id, pcm=piece))
            sent_s = self._playback.sent_s + duration_s(len(piece), self._rate)
            self._playback = replace(self._playback, sent_s=sent_s, played_s=sent_s)
        return True

    async def finish(self) -> Playback:
        """Return at once: the caller plays on by itself."""
        return self._playback

    async def interrupt(self) -> Playback:
        """Hand over nothing more."""
        self._playback = replace(self._playback, is_interrupted=True)
        return self._playback


class _NoWatcher:
    """For a drive that accompanies another one, which is the one that is watched."""

    def drive_ready(self) -> None:
        pass

    def playback_started(self, method: PlaybackMethod) -> None:
        pass


class AccompaniedSpeaker:
    """An avatar speaks and the caller gets the same audio; the avatar says what was heard."""

    def __init__(self, avatar: Speaker, listener: Listener) -> None:
        self._avatar = avatar
        self._caller = CallerSpeaker(listener)

    async def gesture(self, action: str) -> None:
        """The avatar makes it."""
        await self._avatar.gesture(action)

    @asynccontextmanager
    async def open(
        self, *, turn_id: int, sample_rate_hertz: int, watcher: DriveWatcher
    ) -> AsyncIterator["AccompaniedDrive"]:
        """A drive that opens as the avatar's does."""
        async with (
            self._avatar.open(
                turn_id=turn_id, sample_rate_hertz=sample_rate_hertz, watcher=watcher
            ) as avatar,
            self._caller.open(
                turn_id=turn_id, sample_rate_hertz=sample_rate_hertz, watcher=_NoWatcher()
            ) as caller,
        ):
            yield AccompaniedDrive(avatar, caller)


class AccompaniedDrive:
    """One reply for an avatar and the caller."""

    def __init__(self, avatar: Drive, caller: Drive) -> None:
        self._avatar = avatar
        self._caller: Drive | None = caller

    @property
    def playback(self) -> Playback:
        """How much the avatar has played."""
        return self._avatar.playback

    async def send(self, pcm: bytes) -> bool:
        """Send to both: first to the avatar, which sets the pace and needs no caller."""
        is_wanted = await self._avatar.send(pcm)
        if is_wanted and self._caller is not None:
            try:
                await self._caller.send(pcm)
            except ServiceError:
                self._caller = None
        return is_wanted

    async def finish(self) -> Playback:
        """Wait for the avatar."""
        return await self._avatar.finish()

    async def interrupt(self) -> Playback:
        """Cut off the avatar."""
        return await self._avatar.interrupt()
