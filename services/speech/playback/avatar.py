"""Replies on their way to an avatar: each is one Drive call to the avatar service.

This is the first of two pacers. It feeds the avatar service at most LEAD_S ahead of playback: the
next segment is produced while the last one plays, and an interruption wastes no more than that. The
second, in the avatar service (services/avatar/pacing.py), feeds the cloud, and has a lead of a
fraction of a second: what has left for the cloud may still be heard after an interruption. One lead
could not do both: the large one covers the time that producing speech takes, the small one the
network.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from enum import Enum, auto
from typing import TypeAlias, assert_never

import grpc
import structlog
from grpc_status import rpc_status

from digitalhuman.avatar.v1 import avatar_pb2 as pb
from digitalhuman.avatar.v1.avatar_pb2_grpc import AvatarServiceStub
from services.runtime.callers.requests import outgoing_metadata
from services.runtime.channels.replicas import Replicas
from services.runtime.failures.errors import ServiceError, from_rpc_error
from services.runtime.failures.reasons import Reason
from services.runtime.pcm import duration_s
from services.speech.playback import wire
from services.speech.playback.ports import DriveWatcher, Playback

log = structlog.get_logger(__name__)

MESSAGE_BYTES = 32_768
"""The most audio that the contract allows in one message: messages cost by number, not by size."""

HASTE_S = 0.5
"""With less than this ahead of playback audio leaves as it comes, with more messages are filled."""

LEAD_S = 4.0
"""How far the avatar service is fed ahead of playback."""

OUTBOX_S = 2.0
"""Audio that may wait here before the synthesizer is held back."""

OPEN_S = 15.0
"""How long the avatar may take to get ready for a reply: longer than its service tries."""

STALL_S = 8.0
"""How long the avatar service may take no audio: it may be restarting."""

PAUSE_S = 0.25
"""Before all replicas are asked again."""

GESTURE_S = 5.0
"""How long the avatar service may take for a gesture."""

SETTLE_S = 5.0
FINISH_MARGIN_S = 20.0

_NOT_READY = "The avatar did not get ready to speak."
_GONE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)

DriveCall: TypeAlias = "grpc.aio.StreamStreamCall[pb.DriveRequest, pb.DriveResponse]"


class AvatarSpeaker:
    """Has one avatar speak."""

    def __init__(
        self,
        avatars: Replicas[AvatarServiceStub],
        *,
        avatar_id: str,
        service_token: str | None,
    ) -> None:
        self._avatars = avatars
        self._avatar_id = avatar_id
        self._service_token = service_token

    async def gesture(self, action: str) -> None:
        """Have the avatar make a gesture; a failure is only logged."""
        request = pb.PerformActionRequest(avatar_id=self._avatar_id, action=action)
        try:
            await self._avatars.for_key(self._avatar_id).PerformAction(
                request, timeout=GESTURE_S, metadata=outgoing_metadata(self._service_token)
            )
        except grpc.aio.AioRpcError as error:
            log.warning("gesture not made", reason=from_rpc_error(error).reason)

    @asynccontextmanager
    async def open(
        self, *, turn_id: int, sample_rate_hertz: int, watcher: DriveWatcher
    ) -> AsyncIterator["AvatarDrive"]:
        """A drive that opens in the background; leaving the block early cuts it off."""
        setup = pb.DriveSetup(
            avatar_id=self._avatar_id,
            turn_id=turn_id,
            format=wire.to_format(sample_rate_hertz),
        )
        drive = AvatarDrive(sample_rate_hertz=sample_rate_hertz, watcher=watcher)
        calling = asyncio.create_task(self._call(drive, setup))
        try:
            yield drive
        finally:
            calling.cancel()
            await asyncio.wait({calling})

    async def _call(self, drive: "AvatarDrive", setup: pb.DriveSetup) -> None:
        """Have the first replica that is there take the drive; all are asked until one is."""
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + STALL_S
        while loop.time() < give_up_at:
            for address in self._avatars.ranking(self._avatar_id):
                if await self._call_at(address, drive, setup):
                    return
            await asyncio.sleep(PAUSE_S)
        drive.lose(_NOT_READY)

    async def _call_at(self, address: str, drive: "AvatarDrive", setup: pb.DriveSetup) -> bool:
        """Call one replica; False if it is not there."""
        call = self._avatars.at(address).Drive(
            # Another one may be there first.
            wait_for_ready=False,
            metadata=outgoing_metadata(self._service_token),
        )
        # Neither is cancelled while its call lives: that would cancel the call itself.
        writing = asyncio.create_task(drive.write_to(call, setup))
        reading = asyncio.create_task(drive.read_from(call))
        try:
            return await asyncio.shield(reading)
        finally:
            call.cancel()
            writing.cancel()
            await asyncio.gather(writing, reading, return_exceptions=True)
            await call.code()


class _Order(Enum):
    """What the far end is sent next, once the outbox is empty or dropped."""

    GO_ON = auto()
    FINISH = auto()
    INTERRUPT = auto()


class AvatarDrive:
    """Takes a reply's audio from the turn; one task writes it, one reads what becomes of it.

    The outbox is not a BoundedQueue: audio is cut into messages when these are due, and the
    writer also waits for orders and for time.
    """

    def __init__(self, *, sample_rate_hertz: int, watcher: DriveWatcher) -> None:
        self._rate = sample_rate_hertz
        self._watcher = watcher
        self._outbox = bytearray()
        self._order = _Order.GO_ON
        self._changed = asyncio.Event()
        self._may_write = asyncio.Event()
        self._interrupted = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._produced_s = 0.0
        self._playback = Playback()
        self._outcome: asyncio.Future[Playback] = asyncio.get_running_loop().create_future()

    @property
    def playback(self) -> Playback:
        """How far the reply is, as last known."""
        return self._playback

    async def send(self, pcm: bytes) -> bool:
        """Add whole samples; waits for room. False when the drive is over; raises ServiceError."""
        if not self._has_room.is_set():
            await self._room()
        if self._outcome.done():
            self._outcome.result()
            return False
        self._outbox += pcm
        self._produced_s += duration_s(len(pcm), self._rate)
        self._changed.set()
        self._update_room()
        return True

    async def _room(self) -> None:
        try:
            async with asyncio.timeout(STALL_S):
                await self._has_room.wait()
        except TimeoutError:
            raise ServiceError(Reason.DRIVE_LOST, "The avatar no longer takes audio.") from None

    async def finish(self) -> Playback:
        """Wait until all audio is played or cut off; raises ServiceError."""
        self._give(_Order.FINISH)
        return await self._settled(self._produced_s + FINISH_MARGIN_S)

    async def interrupt(self) -> Playback:
        """Cut the reply off; raises ServiceError."""
        self._outbox.clear()
        self._give(_Order.INTERRUPT)
        self._interrupted.set()
        self._may_write.set()
        return await self._settled(SETTLE_S)

    async def write_to(self, call: DriveCall, setup: pb.DriveSetup) -> None:
        """Write the setup, then audio at the speed of speech, then how it ends."""
        # When a call has failed, its reader learns why.
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            try:
                async with asyncio.timeout(STALL_S):
                    await call.write(pb.DriveRequest(setup=setup))
                async with asyncio.timeout(OPEN_S):
                    # Until then the drive may be refused, and a write that meets the end of its
                    # call makes gRPC forget why it ended.
                    await self._may_write.wait()
            except TimeoutError:
                self.lose(_NOT_READY)
                return
            await self._write_audio(call)
            await call.write(pb.DriveRequest(interrupt=pb.DriveInterrupt()))
            await call.done_writing()

    async def _write_audio(self, call: DriveCall) -> None:
        """Write until the reply is cut off, which may happen even after its last audio."""
        loop = asyncio.get_running_loop()
        plays_until = loop.time()
        is_finished = False
        while self._order is not _Order.INTERRUPT:
            ahead_s = plays_until - loop.time()
            if ahead_s > LEAD_S:
                await _until(self._interrupted, within_s=ahead_s - LEAD_S)
            elif self._is_due(ahead_s):
                pcm = bytes(self._outbox[:MESSAGE_BYTES])
                del self._outbox[:MESSAGE_BYTES]
                self._update_room()
                await call.write(pb.DriveRequest(audio=pb.DriveAudio(pcm=pcm)))
                plays_until = max(plays_until, loop.time()) + duration_s(len(pcm), self._rate)
            elif self._order is _Order.FINISH and not is_finished:
                await call.write(pb.DriveRequest(finish=pb.DriveFinish()))
                is_finished = True
            else:
                self._changed.clear()
                await _until(self._changed, within_s=ahead_s - HASTE_S if self._outbox else None)

    def _is_due(self, ahead_s: float) -> bool:
        """Whether to write what is in the outbox now."""
        if not self._outbox:
            return False
        is_whole = len(self._outbox) >= MESSAGE_BYTES or self._order is _Order.FINISH
        return is_whole or ahead_s <= HASTE_S

    async def read_from(self, call: DriveCall) -> bool:
        """Follow the drive to its end; False if its peer is not there to begin it."""
        is_begun = False
        is_taken = True
        try:
            async for response in call:
                is_begun = True
                self._follow(response)
        except grpc.aio.AioRpcError as error:
            is_taken = is_begun or not _is_absent(error)
            if is_taken:
                self._fail(_failure(error))
        finally:
            if is_taken:
                self.lose("The drive ended without an outcome.")
                self._may_write.set()
        return is_taken

    def _follow(self, response: pb.DriveResponse) -> None:
        match response.WhichOneof("event"):
            case "drive_started":
                self._may_write.set()
                self._watcher.drive_ready()
            case "playback_started":
                method = wire.from_playback_method(response.playback_started.method)
                self._watcher.playback_started(method)
            case "progress":
                ago_s = wire.from_first_sent_time(
                    response.progress, reported_at=response.event_time
                )
                self._move_on(wire.from_progress(response.progress), sent_ago_s=ago_s)
            case "drive_finished":
                ago_s = wire.from_first_sent_time(
                    response.drive_finished, reported_at=response.event_time
                )
                self._move_on(wire.from_finished(response.drive_finished), sent_ago_s=ago_s)
                self._outcome.set_result(self._playback)
            case None:
                pass  # An event of a later version.
            case unknown:
                assert_never(unknown)

    def _move_on(self, playback: Playback, *, sent_ago_s: float | None) -> None:
        first_sent_at = self._playback.first_sent_at
        if first_sent_at is None and sent_ago_s is not None:
            first_sent_at = asyncio.get_running_loop().time() - sent_ago_s
        self._playback = replace(playback, first_sent_at=first_sent_at)

    def _fail(self, error: ServiceError) -> None:
        """The drive is lost, unless it has come to its end or is lost already."""
        if not self._outcome.done():
            self._playback = wire.from_lost_drive(error, self._playback)
            self._outcome.set_exception(error)
            self._outcome.exception()  # The turn may be over before it asks.

    def lose(self, how: str) -> None:
        """The drive has come to no end of its own, and `how` is why."""
        self._fail(ServiceError(Reason.DRIVE_LOST, how))
        self._has_room.set()

    def _give(self, order: _Order) -> None:
        self._order = order
        self._changed.set()

    def _update_room(self) -> None:
        if duration_s(len(self._outbox), self._rate) < OUTBOX_S:
            self._has_room.set()
        elif not self._outcome.done():
            self._has_room.clear()

    async def _settled(self, within_s: float) -> Playback:
        try:
            async with asyncio.timeout(within_s):
                return await asyncio.shield(self._outcome)
        except TimeoutError:
            raise ServiceError(Reason.DRIVE_LOST, "The drive does not end.") from None


async def _until(event: asyncio.Event, *, within_s: float | None) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await event.wait()


def _is_absent(error: grpc.aio.AioRpcError) -> bool:
    """Whether a peer has gone, or goes, before it has answered anything."""
    return error.code() in _GONE and rpc_status.from_call(error) is None


def _failure(error: grpc.aio.AioRpcError) -> ServiceError:
    if error.code() is grpc.StatusCode.INTERNAL and not error.trailing_metadata():
        # What gRPC says about a write that met the end of its call.
        return ServiceError(Reason.DRIVE_LOST, "The drive broke off.")
    return from_rpc_error(error)
