"""A drive does as it is told and tells what came of it, whatever its cloud does."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from uuid import UUID, uuid4

import pytest

from services.avatar.claims import UndisputedClaims
from services.avatar.drive import (
    Drive,
    DriveEvent,
    DriveFinished,
    DriveReport,
    DriveStarted,
    Method,
    PlaybackStarted,
    Progress,
)
from services.avatar.drives import Drives, running_drives
from services.avatar.pacing import PacingClock, PacingProfile, running_clock
from services.avatar.ports import AudioSink, Claims, DriveLostError
from services.avatar.profiles import load_profile
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason

RATE = 16_000
AVATAR = "avatar-1"
ZEGO = load_profile("zego")
HASTY = replace(
    ZEGO, max_unplayed_s=0.05, packet_s=0.02, start_delay_s=0.001, end_margin_s=0.01, backlog_s=0.1
)
# Never ends by itself within a test.
SLOW = replace(ZEGO, max_unplayed_s=3600, packet_s=1, start_delay_s=0.001, end_margin_s=3600)


@dataclass
class Sink:
    """Keeps the audio; breaks when told to."""

    pcm: bytearray = field(default_factory=bytearray)
    is_open: bool = True
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def send(self, pcm: bytes) -> None:
        if not self.is_open:
            raise DriveLostError("broken")
        self.pcm += pcm
        async with self.changed:
            self.changed.notify_all()

    async def until(self, count: int) -> None:
        """Wait until it has this many bytes."""
        async with self.changed:
            await self.changed.wait_for(lambda: len(self.pcm) >= count)


@dataclass
class Offer:
    """One opened drive of the scripted cloud."""

    drive_id: str
    sink: Sink = field(default_factory=Sink)
    may_stop: asyncio.Event = field(default_factory=asyncio.Event)
    stopped: bool = False
    lose: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self.may_stop.set()

    @asynccontextmanager
    async def connect(
        self, *, sample_rate_hertz: int, on_lost: Callable[[], None]
    ) -> AsyncIterator[AudioSink]:
        self.lose = on_lost
        yield self.sink
        await self.may_stop.wait()
        self.stopped = True


class ScriptedCloud:
    """Opens drives and keeps the orders; fails with what the script says."""

    def __init__(self) -> None:
        self.offers: list[Offer] = []
        self.orders: list[str] = []
        self.open_failure: ServiceError | None = None
        self.silence_failure: ServiceError | None = None

    async def open_drive(self, avatar_id: str) -> Offer:
        self.orders.append("open")
        if self.open_failure is not None:
            raise self.open_failure
        self.offers.append(Offer(drive_id=f"drive-{len(self.offers) + 1}"))
        return self.offers[-1]

    async def silence(self, avatar_id: str) -> None:
        self.orders.append("silence")
        if self.silence_failure is not None:
            raise self.silence_failure


@dataclass
class ScriptedClaim:
    """Stands as long as the test wants."""

    claim_id: UUID = field(default_factory=uuid4)
    is_doubtful: bool = False
    is_standing: bool = True
    may_be_taken: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self) -> None:
        await self.may_be_taken.wait()

    async def stands(self) -> bool:
        return self.is_standing


class ScriptedClaims:
    """Gives one claim."""

    def __init__(self) -> None:
        self.claim = ScriptedClaim()
        self.claim.may_be_taken.set()

    def new(self, avatar_id: str) -> ScriptedClaim:
        return self.claim

    async def holder(self, avatar_id: str) -> str | None:
        return None


@pytest.fixture
def cloud() -> ScriptedCloud:
    return ScriptedCloud()


@pytest.fixture
async def clock() -> AsyncIterator[PacingClock]:
    async with running_clock() as clock:
        yield clock


@asynccontextmanager
async def opened(
    cloud: ScriptedCloud,
    clock: PacingClock,
    profile: PacingProfile,
    claims: Claims | None = None,
) -> AsyncIterator[tuple[Drives, Drive]]:
    async with (
        running_drives(
            cloud=cloud, claims=claims or UndisputedClaims(), profile=profile, clock=clock
        ) as drives,
        drives.opened(AVATAR, turn_id=1, sample_rate_hertz=RATE) as drive,
    ):
        yield drives, drive


async def outcome(drive: Drive) -> DriveFinished:
    async with asyncio.timeout(30):
        events = [event async for event in drive.events()]
    finished = events[-1]
    assert isinstance(finished, DriveFinished)
    return finished


async def failure(drive: Drive) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        await outcome(drive)
    return caught.value


async def until(drive: Drive, kind: type[DriveEvent]) -> None:
    async with asyncio.timeout(30):
        async for event in drive.events():
            if isinstance(event, kind):
                return


async def test_all_audio_reaches_the_cloud_in_order(
    cloud: ScriptedCloud, clock: PacingClock
) -> None:
    pieces = [bytes([number]) * 640 for number in range(20)]
    async with opened(cloud, clock, HASTY) as (_, drive):

        async def feed() -> None:
            # More than the backlog takes: the drive holds the feeder back meanwhile.
            for piece in pieces:
                await drive.feed(piece)
            drive.finish()

        finished, _ = await asyncio.gather(outcome(drive), feed())
    assert bytes(cloud.offers[0].sink.pcm) == b"".join(pieces)
    assert cloud.offers[0].stopped
    assert cloud.orders == ["open"]
    assert finished.position.sent_s == pytest.approx(0.4)
    assert finished.position.played_s == pytest.approx(0.4)
    assert finished.position.method is Method.ESTIMATED


async def test_the_feeder_is_held_back_by_a_full_backlog(
    cloud: ScriptedCloud, clock: PacingClock
) -> None:
    profile = replace(ZEGO, max_unplayed_s=0.02, packet_s=0.02, start_delay_s=3600, backlog_s=0.02)
    async with opened(cloud, clock, profile) as (_, drive):
        await drive.feed(bytes(640))
        await until(drive, Progress)
        feeding = asyncio.create_task(_feed_pieces(drive, 5))
        await asyncio.sleep(0)
        assert not feeding.done()
        drive.interrupt()
        await asyncio.wait_for(feeding, 5)


async def _feed_pieces(drive: Drive, count: int) -> None:
    for _ in range(count):
        await drive.feed(bytes(640))


async def test_the_clouds_word_ends_the_drive(cloud: ScriptedCloud, clock: PacingClock) -> None:
    async with opened(cloud, clock, SLOW) as (drives, drive):
        await drive.feed(bytes(RATE))
        drive.finish()
        await until(drive, PlaybackStarted)
        drives.on_report(AVATAR, "another drive", DriveReport.FAILED)
        drives.on_report(AVATAR, "drive-1", DriveReport.ENDED)
        drives.on_report(AVATAR, "drive-1", DriveReport.PLAYING)
        finished = await outcome(drive)
    assert finished.position.method is Method.CONFIRMED
    assert finished.position.played_s == finished.position.sent_s == 0.5
    assert not finished.is_interrupted


async def test_a_word_on_playback_before_there_is_audio_confirms_nothing(
    cloud: ScriptedCloud, clock: PacingClock
) -> None:
    async with opened(cloud, clock, SLOW) as (drives, drive):
        await until(drive, DriveStarted)
        drives.on_report(AVATAR, "drive-1", DriveReport.PLAYING)
        await drive.feed(bytes(RATE))
        async with asyncio.timeout(30):
            async for event in drive.events():
                if isinstance(event, PlaybackStarted):
                    break
        assert event == PlaybackStarted(method=Method.ESTIMATED)


async def test_a_drive_that_the_cloud_cuts_off_is_interrupted(
    cloud: ScriptedCloud, clock: PacingClock
) -> None:
    async with opened(cloud, clock, SLOW) as (drives, drive):
        # Longer than it takes to cut it off.
        await drive.feed(bytes(60 * RATE))
        await until(drive, PlaybackStarted)
        drives.on_report(AVATAR, "drive-1", DriveReport.CUT_OFF)
        finished = await outcome(drive)
    assert finished.is_interrupted
    assert finished.position.played_s < finished.position.sent_s
    assert "silence" not in cloud.orders


async def test_a_drive_that_the_cloud_could_not_play_is_lost(
    cloud: ScriptedCloud, clock: PacingClock
) -> None:
    async with opened(cloud, clock, SLOW) as (drives, drive):
        await drive.feed(bytes(RATE))
        await until(drive, PlaybackStarted)
        drives.on_report(AVATAR, "drive-1", DriveReport.FAILED)
        error = await failure(drive)
    assert error.reason is Reason.DRIVE_LOST
    assert error.metadata["sent_ms"] == "500"


async def test_an_interrupt_silences_before_it_stops(
    cloud: ScriptedCloud, clock: PacingClock
) -> None:
    async with opened(cloud, clock, SLOW) as (_, drive):
        await drive.feed(bytes(RATE))
        await until(drive, PlaybackStarted)
        drive.interrupt()
        finished = await outcome(drive)
        await drive.feed(bytes(RATE))
    assert finished.is_interrupted
    assert cloud.orders == ["open", "silence"]
    assert len(cloud.offers[0].sink.pcm) == RATE


async def test_an_interrupt_that_the_cloud_does_not_take_fails(
    cloud: ScriptedCloud, clock: PacingClock
) -> None:
    cloud.silence_failure = ServiceError(Reason.CLOUD_BUSY, "busy")
    async with opened(cloud, clock, SLOW) as (drives, drive):
        await drive.feed(bytes(RATE))
        await until(drive, PlaybackStarted)
        with pytest.raises(ServiceError, match="busy"):
            await drives.interrupt(AVATAR)
        assert (await failure(drive)).reason is Reason.CLOUD_BUSY


async def test_an_avatar_that_is_gone_is_silent(cloud: ScriptedCloud, clock: PacingClock) -> None:
    cloud.silence_failure = ServiceError(Reason.AVATAR_ENDED, "gone")
    async with opened(cloud, clock, SLOW) as (_, drive):
        await drive.feed(bytes(RATE))
        await until(drive, PlaybackStarted)
        drive.interrupt()
        assert (await outcome(drive)).is_interrupted


async def test_a_lost_connection_is_noticed_between_two_pieces(
    cloud: ScriptedCloud, clock: PacingClock
) -> None:
    async with opened(cloud, clock, SLOW) as (_, drive):
        await drive.feed(bytes(RATE))
        await until(drive, PlaybackStarted)
        cloud.offers[0].sink.is_open = False
        cloud.offers[0].lose()
        error = await failure(drive)
    assert error.reason is Reason.DRIVE_LOST
    assert cloud.orders == ["open", "silence"]


async def test_a_drive_that_cannot_be_opened_fails_with_the_clouds_reason(
    cloud: ScriptedCloud, clock: PacingClock
) -> None:
    cloud.open_failure = ServiceError(Reason.AVATAR_NOT_ON_AIR, "not yet")
    async with opened(cloud, clock, SLOW) as (_, drive):
        assert (await failure(drive)).reason is Reason.AVATAR_NOT_ON_AIR


async def test_a_drive_waits_until_the_previous_one_is_over(
    cloud: ScriptedCloud, clock: PacingClock
) -> None:
    async with opened(cloud, clock, SLOW) as (drives, first):
        await first.feed(bytes(RATE))
        await until(first, PlaybackStarted)
        async with drives.opened(AVATAR, turn_id=1, sample_rate_hertz=RATE) as second:
            second.finish()
            assert (await failure(first)).reason is Reason.DRIVE_SUPERSEDED
            await outcome(second)
    # The opening of the second cuts the first one off; an order for that would come too late.
    assert cloud.orders == ["open", "open"]
    assert cloud.offers[0].stopped


async def test_the_end_of_the_process_cuts_off_what_runs(
    cloud: ScriptedCloud, clock: PacingClock
) -> None:
    async with opened(cloud, clock, SLOW) as (_, drive):
        await drive.feed(bytes(RATE))
        await until(drive, PlaybackStarted)
    assert cloud.orders == ["open", "silence"]
    assert cloud.offers[0].stopped


async def test_an_interrupt_of_a_silent_avatar_goes_to_the_cloud(
    cloud: ScriptedCloud, clock: PacingClock
) -> None:
    async with running_drives(
        cloud=cloud, claims=UndisputedClaims(), profile=SLOW, clock=clock
    ) as drives:
        await drives.interrupt(AVATAR)
    assert cloud.orders == ["silence"]


async def test_a_drive_whose_avatar_was_taken_silences_nobody(
    cloud: ScriptedCloud, clock: PacingClock
) -> None:
    claims = ScriptedClaims()
    async with opened(cloud, clock, SLOW, claims) as (_, drive):
        await drive.feed(bytes(RATE))
        await until(drive, PlaybackStarted)
        claims.claim.is_standing = False
        drive.interrupt()
        assert (await outcome(drive)).is_interrupted
    assert cloud.orders == ["open"]


async def test_a_connection_that_a_newer_drive_broke_is_superseded_not_lost(
    cloud: ScriptedCloud, clock: PacingClock
) -> None:
    claims = ScriptedClaims()
    async with opened(cloud, clock, SLOW, claims) as (_, drive):
        await drive.feed(bytes(RATE))
        await until(drive, PlaybackStarted)
        claims.claim.is_standing = False
        cloud.offers[0].sink.is_open = False
        cloud.offers[0].lose()
        assert (await failure(drive)).reason is Reason.DRIVE_SUPERSEDED
    assert cloud.orders == ["open"]


async def test_after_a_pause_no_audio_is_sent_before_it_is_known_whose_the_avatar_is(
    cloud: ScriptedCloud, clock: PacingClock
) -> None:
    claims = ScriptedClaims()
    async with opened(cloud, clock, SLOW, claims) as (_, drive):
        await drive.feed(bytes(RATE))
        await until(drive, PlaybackStarted)
        claims.claim.is_doubtful = True
        await drive.feed(bytes(RATE))
        await asyncio.wait_for(cloud.offers[0].sink.until(2 * RATE), 20)
        claims.claim.is_standing = False
        await drive.feed(bytes(RATE))
        assert (await failure(drive)).reason is Reason.DRIVE_SUPERSEDED
    assert len(cloud.offers[0].sink.pcm) == 2 * RATE


async def test_a_drive_that_gives_way_while_it_takes_the_avatar_is_not_opened(
    cloud: ScriptedCloud, clock: PacingClock
) -> None:
    claims = ScriptedClaims()
    claims.claim.may_be_taken.clear()
    async with opened(cloud, clock, SLOW, claims) as (drives, drive):
        await drives.give_way(uuid4())
        giving_way = asyncio.create_task(drives.give_way(claims.claim.claim_id))
        await asyncio.sleep(0)
        claims.claim.may_be_taken.set()
        await giving_way
        assert (await failure(drive)).reason is Reason.DRIVE_SUPERSEDED
    assert cloud.orders == []


async def test_a_drive_has_given_way_once_its_connection_is_closed(
    cloud: ScriptedCloud, clock: PacingClock
) -> None:
    async with opened(cloud, clock, SLOW) as (drives, first):
        await first.feed(bytes(RATE))
        await until(first, PlaybackStarted)
        cloud.offers[0].may_stop.clear()
        # Here, a newer one waits for its end already.
        async with drives.opened(AVATAR, turn_id=2, sample_rate_hertz=RATE) as second:
            giving_way = asyncio.create_task(drives.give_way(first.claim_id))
            done, _ = await asyncio.wait({giving_way}, timeout=0.1)
            assert not done
            cloud.offers[0].may_stop.set()
            await giving_way
            assert cloud.offers[0].stopped
            second.finish()
            await outcome(second)
