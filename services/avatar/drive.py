"""One reply on its way to the cloud: opened early, paced, cut off any time, followed to its end."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import Enum, auto
from uuid import UUID

import structlog

from services.avatar.pacing import Pacer, PacingClock, PacingProfile
from services.avatar.ports import AudioSink, Claim, DriveCloud, DriveLostError
from services.avatar.telemetry import DRIVES
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason

log = structlog.get_logger(__name__)

_NEVER = float("inf")
_GONE = (Reason.AVATAR_ENDED, Reason.AVATAR_NOT_FOUND)
_EVENTS = 32
_EVENTS_KEPT_FREE = 8
"""Places that progress leaves free for events that must not be dropped; a drive has fewer."""


class Method(Enum):
    """How playback is known."""

    ESTIMATED = auto()
    CONFIRMED = auto()


class DriveReport(Enum):
    """What the cloud reports about a drive; all but PLAYING are final."""

    PLAYING = auto()
    ENDED = auto()
    CUT_OFF = auto()
    FAILED = auto()


class _Order(Enum):
    """Why a drive must end before its audio does."""

    INTERRUPT = auto()
    SUPERSEDE = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """How far a drive is, in seconds; its first audio was sent `sent_ago_s` ago."""

    sent_s: float
    played_s: float
    method: Method
    sent_ago_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DriveStarted:
    """The cloud is ready for audio."""

    drive_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackStarted:
    """The avatar started to speak."""

    method: Method


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the drive is."""

    position: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class DriveFinished:
    """The drive is over; whatever has not been played never will be."""

    position: Position
    is_interrupted: bool


DriveEvent = DriveStarted | PlaybackStarted | Progress | DriveFinished


class Drive:
    """Accepts audio and orders from its owner while `run` alone talks to the cloud.

    Nothing cancels `run`: an interrupt is an order that it obeys between two messages.
    """

    def __init__(
        self,
        *,
        avatar_id: str,
        sample_rate_hertz: int,
        cloud: DriveCloud,
        claim: Claim,
        profile: PacingProfile,
        clock: PacingClock,
    ) -> None:
        self._avatar_id = avatar_id
        self._rate = sample_rate_hertz
        self._cloud = cloud
        self._claim = claim
        self._profile = profile
        self._clock = clock
        self._pacer = Pacer(profile, sample_rate_hertz=sample_rate_hertz)
        self._playout = self._pacer.playout
        self._events: asyncio.Queue[DriveEvent | ServiceError] = asyncio.Queue(_EVENTS)
        self._wake = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._drive_id: str | None = None
        self._order: _Order | None = None
        self._last_report: DriveReport | None = None
        self._playback: Method | None = None
        self._progress_at = _NEVER

    async def feed(self, pcm: bytes) -> None:
        """Add whole samples of the reply; waits while too much is still to be sent."""
        await self._has_room.wait()
        self._pacer.push(pcm)
        if self._pacer.is_full and not self._is_over:
            self._has_room.clear()
        self._wake.set()

    def finish(self) -> None:
        """Declare that the reply has no more audio."""
        self._pacer.complete()
        self._wake.set()

    def interrupt(self) -> None:
        """Stop speaking now and drop what has not been played."""
        self._give(_Order.INTERRUPT)

    def supersede(self) -> None:
        """Give way to a newer drive, whose opening cuts this one off in the cloud."""
        self._give(_Order.SUPERSEDE)

    def on_report(self, drive_id: str, report: DriveReport, *, late_s: float) -> None:
        """Handle the cloud's report on a drive, if it is this one; reports may arrive in any order.

        What it reports happened `late_s` ago, or a little earlier.
        """
        if drive_id != self._drive_id or self._is_over:
            return
        if report is DriveReport.PLAYING:
            # Before any audio was sent, the cloud can only mean that it is ready.
            if self._playout.first_sent_at is None:
                return
            self._playout.confirm_start(self._clock.now() - late_s)
        self._last_report = report
        self._wake.set()

    async def events(self) -> AsyncIterator[DriveEvent]:
        """Yield what happens, DriveFinished last; raises ServiceError if the drive fails."""
        while True:
            match await self._events.get():
                case ServiceError() as error:
                    raise error
                case DriveFinished() as finished:
                    yield finished
                    return
                case event:
                    yield event

    async def run(self) -> DriveFinished | ServiceError:
        """Speak until the reply is played, cut off or lost; the outcome is also the last event."""
        outcome: DriveFinished | ServiceError
        try:
            outcome = await self._speak()
        except ServiceError as error:
            outcome = error
        except Exception:
            log.exception("drive failed unexpectedly", drive_id=self._drive_id)
            outcome = ServiceError(Reason.INTERNAL, "Something went wrong here.")
        DRIVES.labels(outcome=_outcome_name(outcome)).inc()
        self._has_room.set()
        self._events.put_nowait(outcome)
        return outcome

    @property
    def claim_id(self) -> UUID:
        """The id of its claim on the avatar."""
        return self._claim.claim_id

    @property
    def position(self) -> Position:
        """How far the reply is, or got."""
        return self._position()

    @property
    def _is_over(self) -> bool:
        """Whether no more audio may be sent."""
        return self._order is not None or self._last_report not in (None, DriveReport.PLAYING)

    def _give(self, order: _Order) -> None:
        self._order = self._order or order
        self._has_room.set()
        self._wake.set()

    async def _speak(self) -> DriveFinished:
        if not self._is_over:
            await self._claim.take()
        if not self._is_over:
            offer = await self._cloud.open_drive(self._avatar_id)
            self._drive_id = offer.drive_id
            try:
                async with offer.connect(
                    sample_rate_hertz=self._rate, on_lost=self._wake.set
                ) as sink:
                    self._events.put_nowait(DriveStarted(drive_id=offer.drive_id))
                    await self._send(sink)
                    # Before the socket is closed: every moment that takes would be audible.
                    await self._silence_if_ordered()
            except DriveLostError as error:
                if not self._is_over:
                    raise await self._lose(str(error)) from error
        await self._play_out()
        await self._silence_if_ordered()
        return self._outcome()

    async def _send(self, sink: AudioSink) -> None:
        """Send at the cloud's pace until everything is sent or the drive is over."""
        while not (self._is_over or self._pacer.is_drained):
            if not sink.is_open:
                raise DriveLostError("the drive server closed the connection")
            if self._claim.is_doubtful and not await self._claim.stands():
                self.supersede()
                break
            pcm = self._pacer.take(self._clock.now())
            if pcm:
                await sink.send(pcm)
                self._note_sent()
            else:
                await self._clock.wait(self._wake, self._next_alarm(self._pacer.due_at()))
            self._report()

    async def _play_out(self) -> None:
        """Wait until the cloud says that playback is over, or until it must be."""
        gives_up_at = self._playout.ends_at + self._profile.end_margin_s
        while not self._is_over and self._clock.now() < gives_up_at:
            await self._clock.wait(self._wake, self._next_alarm(gives_up_at))
            self._report()

    def _note_sent(self) -> None:
        if self._progress_at == _NEVER:
            self._progress_at = self._clock.now()
        if not self._pacer.is_full:
            self._has_room.set()

    def _next_alarm(self, also_at: float | None) -> float | None:
        starts_at = self._playout.starts_at if self._playback is None else None
        times = [at for at in (also_at, starts_at, self._progress_at) if at is not None]
        return min(times)

    def _report(self) -> None:
        """Emit the events that are due by now."""
        now = self._clock.now()
        starts_at = self._playout.starts_at
        if self._playback is None and starts_at is not None:
            if self._last_report is DriveReport.PLAYING:
                self._begin_playback(Method.CONFIRMED)
            elif now >= starts_at:
                self._begin_playback(Method.ESTIMATED)
        if now >= self._progress_at:
            if self._events.qsize() < _EVENTS - _EVENTS_KEPT_FREE:
                self._events.put_nowait(Progress(position=self._position()))
            is_playing = self._playout.unplayed_s(now) > 0
            self._progress_at = now + self._profile.progress_s if is_playing else _NEVER

    def _begin_playback(self, method: Method) -> None:
        self._playback = method
        self._events.put_nowait(PlaybackStarted(method=method))

    async def _silence_if_ordered(self) -> None:
        if self._order is None or self._playout.is_cut:
            return
        is_heard = self._playout.first_sent_at is not None
        # The cloud silences an avatar, not a drive: it would be a newer one.
        if self._order is _Order.INTERRUPT and is_heard and await self._claim.stands():
            await self._silence()
        self._playout.cut(self._clock.now())

    async def _silence(self) -> None:
        try:
            await self._cloud.silence(self._avatar_id)
        except ServiceError as error:
            if error.reason not in _GONE:
                raise

    async def _lose(self, what: str) -> ServiceError:
        """Have the cloud drop the rest of a reply whose end it will never receive."""
        if not await self._claim.stands():
            self._playout.cut(self._clock.now())
            return self._superseded()
        reason = Reason.DRIVE_LOST
        try:
            await self._cloud.silence(self._avatar_id)
        except ServiceError as error:
            log.warning("lost drive not silenced", drive_id=self._drive_id, reason=error.reason)
            if error.reason in _GONE:
                reason = Reason.AVATAR_ENDED
        self._playout.cut(self._clock.now())
        return self._failure(reason, f"The reply was cut short: {what}.")

    def _outcome(self) -> DriveFinished:
        match self._order, self._last_report:
            case _Order.SUPERSEDE, _:
                raise self._superseded()
            case None, DriveReport.FAILED:
                raise self._failure(Reason.DRIVE_LOST, "The cloud could not play the reply.")
            case None, DriveReport.ENDED if self._pacer.is_drained:
                method, is_interrupted = Method.CONFIRMED, False
                self._playout.complete()
            case None, None | DriveReport.PLAYING:
                method, is_interrupted = Method.ESTIMATED, False
            case _:
                method, is_interrupted = Method.ESTIMATED, True
        position = self._position(method)
        if self._playback is None and position.played_s > 0:
            self._begin_playback(method)
        return DriveFinished(position=position, is_interrupted=is_interrupted)

    def _position(self, method: Method = Method.ESTIMATED) -> Position:
        now = self._clock.now()
        first_sent_at = self._playout.first_sent_at
        return Position(
            sent_s=self._playout.sent_s,
            played_s=self._playout.played_s(now),
            method=method,
            sent_ago_s=None if first_sent_at is None else now - first_sent_at,
        )

    def _superseded(self) -> ServiceError:
        return self._failure(Reason.DRIVE_SUPERSEDED, "A newer reply took the avatar.")

    def _failure(self, reason: Reason, message: str) -> ServiceError:
        position = self._position()
        return ServiceError(
            reason,
            message,
            sent_ms=str(round(position.sent_s * 1000)),
            played_ms=str(round(position.played_s * 1000)),
        )


def _outcome_name(outcome: DriveFinished | ServiceError) -> str:
    match outcome:
        case ServiceError():
            return outcome.reason
        case DriveFinished(is_interrupted=True):
            return "interrupted"
        case _:
            return "finished"
