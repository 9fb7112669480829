"""What one task puts on air: its drives in order, and a packet per tick for all viewers."""

import asyncio
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from enum import Enum, auto
from types import TracebackType
from typing import Protocol, Self

import structlog

from engine.audio.opus import OpusVoice, SoundPacket
from engine.audio.recordings import Recording
from engine.audio.sound import TICK_S, TICK_SAMPLES, InputEnd, Samples
from engine.clock import Clock
from engine.contract.codes import Code, Refusal
from engine.contract.faults import Faults, Stall
from engine.face.blendshape import PoseFeed
from engine.face.encoder import VideoPacket
from engine.face.performer import Performer
from engine.face.screen import Screen
from engine.tasks.drives import Drive, DriveStatus, Phase

MAX_WAITING = 64
MAX_HISTORY = 1000
OPEN_WITHIN_S = 600.0

log = structlog.get_logger()


class FeedError(Exception):
    """The source of a drive failed; the message says why."""


class Order(Enum):
    """Where a new drive is queued."""

    LAST = auto()
    NOW = auto()
    ALONE = auto()


class Watcher(Protocol):
    """One viewer's sound track."""

    def put(self, packet: SoundPacket) -> None:
        """Accept the packet of one tick; never blocks."""


class Onlooker(Protocol):
    """One viewer's picture track."""

    def put(self, packet: VideoPacket) -> None:
        """Accept the packet of one frame; never blocks."""


class Reader(Protocol):
    """One viewer who renders the face."""

    def put(self, message: bytes) -> None:
        """Accept the message with a pose; never blocks."""


Feeder = Callable[[Drive], Awaitable[None]]


class Stage:
    """Owns the drives of a task, and the tasks that feed them, from on air to the end."""

    def __init__(
        self,
        *,
        clock: Clock,
        faults: Faults,
        record: Callable[[str], Recording],
        announce: Callable[[Drive], None],
        performer: Performer,
        screen: Screen,
    ) -> None:
        self.drives: deque[Drive] = deque(maxlen=MAX_HISTORY)
        self.socket_drive: Drive | None = None
        self.driven_at = clock.monotonic()
        self._clock = clock
        self._faults = faults
        self._record = record
        self._announce = announce
        self._current: Drive | None = None
        self._waiting: deque[Drive] = deque()
        self._feeders: set[asyncio.Task[None]] = set()
        self._performer = performer
        self._screen = screen
        self._poses = PoseFeed(performer)
        self._watchers: set[Watcher] = set()
        self._onlookers: set[Onlooker] = set()
        self._readers: set[Reader] = set()
        self._index = 0
        self._voice = OpusVoice()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.interrupt()
        await asyncio.gather(*self._feeders, return_exceptions=True)
        self._voice.close()

    def add(
        self, action: str, order: Order, feeder: Feeder | None = None, *, drive_id: str = ""
    ) -> Drive:
        """Queue a new drive; without a feeder it waits for its socket.

        It gets its own id, unless it continues under that of an earlier one.
        """
        if order is Order.LAST and len(self._waiting) >= MAX_WAITING:
            raise Refusal(Code.SYSTEM_BUSY, f"{MAX_WAITING} drives are waiting")
        drive_id = drive_id or str(uuid.uuid4())
        drive = Drive(
            drive_id=drive_id,
            phase=Phase.STALLED if self._faults.take(Stall, action) else Phase.BUFFERING,
            open_within_s=OPEN_WITHIN_S,
            recording=self._record(drive_id),
            clock=self._clock,
            announce=self._announce,
            listener=self._listen,
        )
        self.drives.append(drive)
        self.driven_at = self._clock.monotonic()
        match order:
            case Order.LAST:
                self._waiting.append(drive)
            case Order.NOW:
                self._interrupt_current()
                self._waiting.appendleft(drive)
            case Order.ALONE:
                self.interrupt()
                self._waiting.append(drive)
        self._announce(drive)
        if feeder is None:
            self.socket_drive = drive
        else:
            drive.feeder = asyncio.create_task(self._feed(drive, feeder))
            self._feeders.add(drive.feeder)
            drive.feeder.add_done_callback(self._feeders.discard)
        return drive

    def interrupt(self) -> None:
        """End the running drive and all queued ones immediately."""
        self._interrupt_current()
        while self._waiting:
            self._waiting.popleft().finish(DriveStatus.INTERRUPTED)

    @contextmanager
    def watched_by(self, watcher: Watcher) -> Iterator[None]:
        """Send a viewer the packets while the block is open."""
        self._watchers.add(watcher)
        try:
            yield
        finally:
            self._watchers.discard(watcher)

    @contextmanager
    def seen_by(self, onlooker: Onlooker) -> Iterator[None]:
        """Send a viewer the frames while the block is open, starting with a key frame."""
        self._onlookers.add(onlooker)
        self._screen.want_key()
        try:
            yield
        finally:
            self._onlookers.discard(onlooker)
            if not self._onlookers:
                self._screen.rest()

    @contextmanager
    def read_by(self, reader: Reader) -> Iterator[None]:
        """Send a viewer the poses while the block is open."""
        self._readers.add(reader)
        try:
            yield
        finally:
            self._readers.discard(reader)

    def prepare_picture(self) -> None:
        """Prepare for a viewer that will join soon."""
        self._screen.prepare()

    def want_key_frame(self) -> None:
        """Have the next frame be a key frame, which a viewer needs to continue."""
        self._screen.want_key()

    def act(self, action: str) -> None:
        """Show viewers one of `engine.face.gestures.GESTURES`."""
        if self._onlookers or self._readers:
            self._performer.act(action)

    def tick(self, index: int) -> None:
        """Play the next 20 ms; the index counts the ticks of the process."""
        self._index = index
        if self._current is None or self._current.is_over:
            self._current = self._waiting.popleft() if self._waiting else None
        samples = self._current.next_tick() if self._current is not None else None
        if samples is not None:
            self.driven_at = self._clock.monotonic()
        # Sound and picture of a moment are queued together, so that neither waits for the other.
        if self._onlookers and (frame := self._screen.tick(index)):
            for onlooker in self._onlookers:
                onlooker.put(frame)
        if self._readers and (message := self._poses.tick(index)):
            for reader in self._readers:
                reader.put(message)
        if self._watchers:
            packet = self._voice.encode(samples, index * TICK_SAMPLES)
            for watcher in self._watchers:
                watcher.put(packet)

    def _interrupt_current(self) -> None:
        if self._current is not None:
            self._current.finish(DriveStatus.INTERRUPTED)
            self._current = None
            self._performer.hush()

    def _listen(self, samples: Samples, sample_rate: int, ahead_s: float) -> None:
        if self._onlookers or self._readers:
            at_s = self._index * TICK_S + ahead_s
            self._performer.hear(samples, sample_rate=sample_rate, at_s=at_s)

    async def _feed(self, drive: Drive, feeder: Feeder) -> None:
        try:
            await feeder(drive)
        except FeedError as error:
            log.warning("drive cannot be fed", drive_id=drive.drive_id, reason=str(error))
            drive.lose()
        except Exception:
            log.exception("feeder failed", drive_id=drive.drive_id)
            drive.lose()
        else:
            if drive.input is None:
                drive.lose()
            else:
                drive.input.close(InputEnd.STOPPED)
