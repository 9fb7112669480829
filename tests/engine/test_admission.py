"""New tasks are refused while the running ones come late, and welcome again after that."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from engine.admission import Admission, Tally
from engine.tasks import playout
from tests.engine.conftest import OpenCloud
from tests.support.engine_cloud import Cloud, create_parameters

PER_SAMPLE = 50
LIMIT = 0.1
NO_RESOURCE = 400010007
SUCCESS = 0


class ScriptedMeasure:
    """Counts what the test says."""

    def __init__(self) -> None:
        self.done = 0
        self.late = 0

    def add(self, late: int, done: int = PER_SAMPLE) -> None:
        self.done += done
        self.late += late

    def tally(self) -> Tally:
        return Tally(done=self.done, late=self.late)


@pytest.fixture
def measure() -> ScriptedMeasure:
    return ScriptedMeasure()


@pytest.fixture
def admission(measure: ScriptedMeasure) -> Admission:
    return Admission(measures=[ScriptedMeasure(), measure], max_late_share=LIMIT)


def sample(admission: Admission, measure: ScriptedMeasure, *late: int) -> list[bool]:
    rooms = []
    for count in late:
        measure.add(count)
        admission.sample()
        rooms.append(admission.has_room)
    return rooms


def test_there_is_room_while_all_is_in_time(admission: Admission, measure: ScriptedMeasure) -> None:
    assert sample(admission, measure, *[0] * 20) == [True] * 20
    assert admission.late_share == 0


def test_a_single_hitch_is_forgiven(admission: Admission, measure: ScriptedMeasure) -> None:
    assert all(sample(admission, measure, *[0] * 10, 30, *[0] * 10))


def test_the_room_closes_above_the_limit(admission: Admission, measure: ScriptedMeasure) -> None:
    assert sample(admission, measure, 5, 6, 6) == [True, False, False]
    assert admission.late_share == pytest.approx(17 / 150)


def test_the_room_opens_well_below_the_limit_only(
    admission: Admission, measure: ScriptedMeasure
) -> None:
    sample(admission, measure, *[20] * 10)
    # Below the limit, above a quarter of it: still refused, however long it lasts.
    assert not any(sample(admission, measure, *[3] * 30))
    assert sample(admission, measure, *[0] * 10)[-1]


def test_what_is_hardly_used_tells_nothing(admission: Admission, measure: ScriptedMeasure) -> None:
    measure.add(late=5, done=5)
    admission.sample()
    assert admission.has_room
    assert admission.late_share == 0


@pytest.fixture
def forgiving(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have nothing count as late that other processes of a busy machine may cause."""
    monkeypatch.setattr(playout, "LATE_S", 0.1)
    monkeypatch.setattr(playout, "MAX_LAG_S", 0.5)


@contextmanager
def hogging() -> Iterator[None]:
    """A thread that keeps the event loop from its work most of the time."""
    loop = asyncio.get_running_loop()
    enough = threading.Event()

    def hog() -> None:
        while not enough.wait(0.27):
            loop.call_soon_threadsafe(time.sleep, 0.25)

    thread = threading.Thread(target=hog)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()


async def until_room(cloud: Cloud, expected: bool) -> None:
    async with asyncio.timeout(30):
        # The engine tells its load to those who ask only.
        while (await cloud.http.get("/healthz")).json()["has_room"] is not expected:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def create(cloud: Cloud, stream_id: str) -> int:
    envelope = await cloud.call(
        "CreateDigitalHumanStreamTask", **create_parameters(stream_id=stream_id)
    )
    return int(envelope["Code"])


@pytest.mark.usefixtures("forgiving")
async def test_a_late_engine_refuses_until_it_is_in_time(open_cloud: OpenCloud) -> None:
    cloud = await open_cloud(max_late_share=0.3)
    await cloud.go_on_air("running")
    with hogging():
        await until_room(cloud, False)
        assert await create(cloud, "refused") == NO_RESOURCE
    await until_room(cloud, True)
    assert await create(cloud, "welcome") == SUCCESS


@pytest.mark.usefixtures("forgiving")
async def test_the_first_task_is_never_refused(open_cloud: OpenCloud) -> None:
    cloud = await open_cloud(max_late_share=0.3)
    task_id = await cloud.go_on_air("running")
    with hogging():
        await until_room(cloud, False)
        await cloud.data("StopDigitalHumanStreamTask", TaskId=task_id)
        assert await create(cloud, "alone") == SUCCESS
