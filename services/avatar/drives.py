"""The running drives of a process: at most one per avatar."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from services.avatar.drive import Drive, DriveFinished, DriveReport, Position
from services.avatar.pacing import PacingClock, PacingProfile
from services.avatar.ports import Claims, DriveCloud
from services.runtime.failures.errors import ServiceError

REMEMBERED_DRIVES = 1_000
"""For how many avatars the position of the last reply is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LastDrive:
    """A drive that is over."""

    turn_id: int
    position: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class _Running:
    turn_id: int
    drive: Drive
    task: asyncio.Task[DriveFinished | ServiceError]


class Drives:
    """Opens drives; each runs in its own task, and outlives its caller to end cleanly."""

    def __init__(
        self, *, cloud: DriveCloud, claims: Claims, profile: PacingProfile, clock: PacingClock
    ) -> None:
        self._cloud = cloud
        self._claims = claims
        self._profile = profile
        self._clock = clock
        self._running: dict[str, _Running] = {}
        self._claimants: dict[UUID, _Running] = {}
        self._last: OrderedDict[str, LastDrive] = OrderedDict()

    @asynccontextmanager
    async def opened(
        self, avatar_id: str, *, turn_id: int, sample_rate_hertz: int
    ) -> AsyncIterator[Drive]:
        """Open a drive that ends the avatar's previous one; leaving the block cuts it off."""
        drive = Drive(
            avatar_id=avatar_id,
            sample_rate_hertz=sample_rate_hertz,
            cloud=self._cloud,
            claim=self._claims.new(avatar_id),
            profile=self._profile,
            clock=self._clock,
        )
        previous = self._running.get(avatar_id)
        task = asyncio.create_task(self._run(drive, avatar_id, previous))
        running = _Running(turn_id=turn_id, drive=drive, task=task)
        self._running[avatar_id] = self._claimants[drive.claim_id] = running
        try:
            yield drive
        finally:
            drive.interrupt()

    def is_running(self, avatar_id: str) -> bool:
        """Whether an avatar speaks a reply of this process."""
        return avatar_id in self._running

    async def give_way(self, claim_id: UUID) -> None:
        """End the drive with this claim, if there is one, for a newer one of another process."""
        claimant = self._claimants.get(claim_id)
        if claimant is not None:
            claimant.drive.supersede()
            await asyncio.wait({claimant.task})

    async def interrupt(self, avatar_id: str) -> LastDrive | None:
        """Cut off whatever an avatar is saying; raises ServiceError.

        Returns what was cut off, or said last, if known.
        """
        running = self._running.get(avatar_id)
        if running is None:
            await self._cloud.silence(avatar_id)
            return self._last.get(avatar_id)
        running.drive.interrupt()
        outcome = await asyncio.shield(running.task)
        if isinstance(outcome, ServiceError):
            raise outcome
        return self._last.get(avatar_id)

    def on_report(
        self, avatar_id: str, drive_id: str, report: DriveReport, *, late_s: float = 0.0
    ) -> None:
        """Pass the cloud's report, `late_s` after the event, on to its drive."""
        running = self._running.get(avatar_id)
        if running is not None:
            running.drive.on_report(drive_id, report, late_s=late_s)

    def cut_off(self) -> None:
        """Have all drives end; their callers learn how much was heard."""
        for each in self._running.values():
            each.drive.interrupt()

    async def close(self) -> None:
        """Cut off all drives and wait for their clean end."""
        self.cut_off()
        await asyncio.gather(*(each.task for each in self._running.values()))

    async def _run(
        self, drive: Drive, avatar_id: str, previous: _Running | None
    ) -> DriveFinished | ServiceError:
        try:
            if previous is not None:
                previous.drive.supersede()
                # The cloud allows one connection per avatar, and a late order of the old
                # drive would hit the new one.
                await asyncio.wait({previous.task})
            return await drive.run()
        finally:
            del self._claimants[drive.claim_id]
            running = self._running[avatar_id]
            if running.drive is drive:
                del self._running[avatar_id]
                self._remember(avatar_id, running)

    def _remember(self, avatar_id: str, over: _Running) -> None:
        self._last[avatar_id] = LastDrive(turn_id=over.turn_id, position=over.drive.position)
        self._last.move_to_end(avatar_id)
        if len(self._last) > REMEMBERED_DRIVES:
            self._last.popitem(last=False)


@asynccontextmanager
async def running_drives(
    *, cloud: DriveCloud, claims: Claims, profile: PacingProfile, clock: PacingClock
) -> AsyncIterator[Drives]:
    """Open drives that all end cleanly when the block is left."""
    drives = Drives(cloud=cloud, claims=claims, profile=profile, clock=clock)
    try:
        yield drives
    finally:
        await drives.close()


@asynccontextmanager
async def draining(drives: Drives, *, within_s: float) -> AsyncIterator[None]:
    """Have drives cut off that still run `within_s` after the block is left.

    Meanwhile their server refuses new ones and waits for these.
    """
    try:
        yield
    finally:
        asyncio.get_running_loop().call_later(within_s, drives.cut_off)
