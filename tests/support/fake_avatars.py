"""The avatar service as conversations need it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from digitalhuman.avatar.v1 import avatar_pb2, avatar_pb2_grpc
from digitalhuman.conversation.v1 import conversation_pb2 as events_pb
from services.runtime.failures.errors import ServiceError
from services.runtime.pcm import duration_s
from services.runtime.serving.streams import after_setup, take_setup
from services.runtime.wire import to_duration


@dataclass(slots=True, kw_only=True)
class DriveLog:
    """One Drive call as the avatar double saw it."""

    setup: avatar_pb2.DriveSetup
    traceparent: str = ""
    plays_s: float | None = None
    pcm: bytearray = field(default_factory=bytearray)
    ended_by: str = ""


class FakeAvatars(avatar_pb2_grpc.AvatarServiceServicer):
    """Plays what it gets: at once, or up to `plays_s` and then waits for an interrupt.

    What is set applies to the drives that come.
    """

    def __init__(self) -> None:
        self.drives: list[DriveLog] = []
        self.first_pcm = asyncio.Event()
        self.plays_s: float | None = None
        self.error: ServiceError | None = None
        self.fails_after_s: float | None = None
        self.cuts_off_after_s: float | None = None
        self.last_drive: avatar_pb2.LastDrive | None = None
        self.cut_off: list[str] = []
        self.gestures: list[str] = []

    async def InterruptAvatar(
        self, request: avatar_pb2.InterruptAvatarRequest, context: Any
    ) -> avatar_pb2.InterruptAvatarResponse:
        """Tell what was said last."""
        self.cut_off.append(request.avatar_id)
        return avatar_pb2.InterruptAvatarResponse(last_drive=self.last_drive)

    async def PerformAction(
        self, request: avatar_pb2.PerformActionRequest, context: Any
    ) -> avatar_pb2.PerformActionResponse:
        """Note a gesture."""
        self.gestures.append(request.action)
        return avatar_pb2.PerformActionResponse()

    async def Drive(  # type: ignore[override]  # the coroutine form
        self, requests: AsyncIterator[avatar_pb2.DriveRequest], context: Any
    ) -> None:
        """Keep the grammar of the proto."""
        setup = (await take_setup(requests)).setup
        if self.error is not None and self.fails_after_s is None:
            raise self.error
        metadata = dict(context.invocation_metadata())
        drive = DriveLog(
            setup=setup, traceparent=metadata.get("traceparent", ""), plays_s=self.plays_s
        )
        self.drives.append(drive)
        started = avatar_pb2.DriveStarted(drive_id=f"drive-{len(self.drives)}")
        await context.write(avatar_pb2.DriveResponse(drive_started=started))
        async for request in after_setup(requests):
            case = request.WhichOneof("request")
            if case == "audio":
                await self._hear(drive, request.audio.pcm, context)
                if self._sent_s(drive) >= (self.cuts_off_after_s or float("inf")):
                    drive.ended_by = "someone else"
                    break
            else:
                drive.ended_by = str(case)
                if case == "interrupt" or drive.plays_s is None:
                    break
        await context.write(self._finished(drive))

    async def _hear(self, drive: DriveLog, pcm: bytes, context: Any) -> None:
        if not drive.pcm:
            playback = avatar_pb2.DrivePlaybackStarted(method=events_pb.PLAYBACK_METHOD_CONFIRMED)
            await context.write(avatar_pb2.DriveResponse(playback_started=playback))
        drive.pcm += pcm
        self.first_pcm.set()
        if self.error is not None and self._sent_s(drive) >= (self.fails_after_s or 0.0):
            raise self.error

    def _sent_s(self, drive: DriveLog) -> float:
        return duration_s(len(drive.pcm), drive.setup.format.sample_rate_hertz)

    def _finished(self, drive: DriveLog) -> avatar_pb2.DriveResponse:
        sent_s = self._sent_s(drive)
        played_s = sent_s if drive.plays_s is None else min(sent_s, drive.plays_s)
        finished = avatar_pb2.DriveFinished(
            sent_duration=to_duration(sent_s),
            played_duration=to_duration(played_s),
            method=events_pb.PLAYBACK_METHOD_CONFIRMED,
            interrupted=drive.ended_by != "finish",
        )
        return avatar_pb2.DriveResponse(turn_id=drive.setup.turn_id, drive_finished=finished)
