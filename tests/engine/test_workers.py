"""Several worker processes behind one front: one API, one set of rules, and one loss at a time."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from engine.clock import Clock
from engine.settings import EngineSettings
from engine.workers.front import fronting
from tests.engine.conftest import APP_ID, CALLBACK_SECRET, SERVER_SECRET, receiving
from tests.support.engine_cloud import (
    DEBUG,
    DEBUG_TOKEN,
    Cloud,
    ManualClock,
    Receiver,
    Viewer,
    create_parameters,
    make_tone,
    make_viewer_token,
    open_socket,
    start,
    stop,
)

STOPPED = 400000007
STREAM_ID_IN_USE = 400000015
UNKNOWN_TASK = 400000005
TOO_MANY = 400000008
RATE_LIMITED = 400010009

shared = pytest.mark.asyncio(loop_scope="module")


@asynccontextmanager
async def running_front(
    receiver: Receiver, recordings: Path, *, clock: Clock | None = None, **settings: Any
) -> AsyncIterator[Cloud]:
    values = {
        "port": 0,
        "drive_port": 0,
        "app_id": APP_ID,
        "server_secret": SERVER_SECRET,
        "callback_url": receiver.url,
        "callback_secret": CALLBACK_SECRET,
        "init_delay_s": 0,
        "debug_token": DEBUG_TOKEN,
        "max_late_share": 1,
        "recordings_dir": recordings,
        "workers": 2,
        **settings,
    }
    async with (
        fronting(EngineSettings(**values), clock=clock) as engine,
        httpx.AsyncClient(base_url=engine.base_url, timeout=60) as http,
    ):
        yield Cloud(engine, http, receiver)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the workers keep theirs, each in a folder of its own."""
    return tmp_path_factory.mktemp("recordings")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def started_front(recordings: Path) -> AsyncIterator[Cloud]:
    async with receiving() as receiver, running_front(receiver, recordings) as front:
        yield front


@pytest_asyncio.fixture(loop_scope="module")
async def front(started_front: Cloud) -> AsyncIterator[Cloud]:
    """Several processes, shared by the tests that leave as many alive; without tasks."""
    yield started_front
    for task in (await started_front.data("QueryDigitalHumanStreamTasks"))["TaskList"]:
        await started_front.data("StopDigitalHumanStreamTask", TaskId=task["TaskId"])
    await health(started_front, lambda told: told["tasks"] == 0)


async def health(cloud: Cloud, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """What /healthz tells once it meets a condition; workers tell their figures twice a second."""
    async with asyncio.timeout(60):
        while True:
            figures: dict[str, Any] = (await cloud.http.get("/healthz")).json()
            if condition(figures):
                return figures
            await asyncio.sleep(0.1)


def tasks_by_worker(figures: dict[str, Any]) -> list[int]:
    return [worker.get("tasks", 0) for worker in figures["workers"]]


def recorded(folder: Path, drive_id: str = "*") -> list[Path]:
    return list(folder.rglob(f"{drive_id}.pcm"))


def port_of(address: str) -> str:
    return address.rpartition(":")[2].partition("/")[0]


@shared
async def test_tasks_are_shared_and_each_call_finds_its_own(front: Cloud, recordings: Path) -> None:
    task_ids = [await front.go_on_air(f"stream-{number}") for number in range(6)]
    figures = await health(front, lambda told: told["tasks"] == 6)
    assert tasks_by_worker(figures) == [3, 3]

    listed = (await front.data("QueryDigitalHumanStreamTasks"))["TaskList"]
    assert {task["TaskId"] for task in listed} == set(task_ids)

    drives = [await front.begin_drive(task_id) for task_id in task_ids]
    assert len({port_of(address) for _, address in drives}) == 2
    pcm = make_tone(0.2).tobytes()
    for (drive_id, address), task_id in zip(drives, task_ids, strict=True):
        async with open_socket(address) as socket:
            await start(socket, drive_id)
            await socket.send(pcm)
            await stop(socket, drive_id)
            await front.receiver.until_drive(drive_id, 4)
        status = await front.data("GetDigitalHumanStreamTaskStatus", TaskId=task_id)
        assert status["Status"] == 3
        assert (await front.played(task_id, drive_id)).tobytes() == pcm

    for query in ({"TaskId": task_ids[4]}, {"DriveId": drives[4][0]}):
        told = (await front.data("GetDriveStatus", **query))["DriveList"]
        assert told == [{"DriveId": drives[4][0], "Status": 4}]

    [stuck] = recorded(recordings, drives[0][0])
    stuck.unlink()
    stuck.mkdir()
    assert (await front.http.delete("/recordings?all=true", headers=DEBUG)).status_code == 503
    # What is in the way of one worker is in the way of no other.
    assert {each.parent for each in recorded(recordings)} == {stuck.parent}
    stuck.rmdir()
    (await front.http.delete("/recordings?all=true", headers=DEBUG)).raise_for_status()
    assert [(await front.recording(each))["drives"][0]["wav"] for each in task_ids] == [None] * 6


async def test_one_set_of_rules_over_all_workers_and_one_end(
    receiver: Receiver, tmp_path: Path
) -> None:
    # Whose time stands still: all calls come within a second.
    async with running_front(receiver, tmp_path, clock=ManualClock(), max_tasks=3) as front:
        create = "CreateDigitalHumanStreamTask"
        both = await asyncio.gather(*(front.call(create, **create_parameters()) for _ in range(2)))
        assert sorted(envelope["Code"] for envelope in both) == [0, STREAM_ID_IN_USE]
        task_ids = [await front.go_on_air(f"stream-{number}") for number in (2, 3)]
        refused = await front.call(create, **create_parameters(stream_id="stream-4"))
        assert refused["Code"] == TOO_MANY

        unknown = await front.call("InterruptDriveTask", TaskId="none")
        assert unknown["Code"] == UNKNOWN_TASK
        wrong = await front.http.post(
            "/", params={**front.query("GetTimbreList"), "Signature": "x"}
        )
        assert wrong.json()["Code"] == 100000005

        calls = (front.call("GetDigitalHumanStreamTaskStatus", TaskId="none") for _ in range(11))
        codes = [envelope["Code"] for envelope in await asyncio.gather(*calls)]
        assert codes.count(RATE_LIMITED) == 1

        pids = [worker["pid"] for worker in front.engine.health()["workers"]]
    for task_id in task_ids:
        assert receiver.task_statuses(task_id) == [1, 3, 4, 5]
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert not os.listdir(tmp_path)


@shared
async def test_a_stopped_stream_is_free_at_once(front: Cloud) -> None:
    for _ in range(3):
        task_id = await front.go_on_air()
        await front.data("StopDigitalHumanStreamTask", TaskId=task_id)
        again = await front.call("StopDigitalHumanStreamTask", TaskId=task_id)
        assert again["Code"] == STOPPED


@shared
async def test_pictures_are_told_at_the_address_that_was_called(front: Cloud) -> None:
    people = (await front.data("GetDigitalHumanList"))["DigitalHumans"]
    for person in people:
        assert person["AvatarUrl"].startswith(front.engine.base_url)
        assert (await front.http.get(person["AvatarUrl"])).status_code == 200


@shared
async def test_viewers_are_passed_to_the_worker_of_their_stream(front: Cloud) -> None:
    for number in range(2):
        task_id = await front.go_on_air(f"stream-{number}")
        async with Viewer(front, f"stream-{number}") as viewer:
            await front.play(task_id, make_tone(3).tobytes())
            await viewer.until_level(lambda level: level > 1000)
            assert viewer.address.startswith(f"/whep/stream-{number}/")
            fragment = await front.http.patch(
                viewer.address,
                content="a=mid:0\r\n",
                headers={"Content-Type": "application/trickle-ice-sdpfrag"},
            )
            assert fragment.status_code == 204
            assert (await front.http.delete(viewer.address)).status_code == 200
            await viewer.until_end()
    # Each worker tells of itself once in a while.
    await health(front, lambda told: told["viewers"] == 0 and told["tasks"] == 2)


@shared
async def test_viewers_are_refused_like_by_one_engine(front: Cloud) -> None:
    await front.go_on_air("stream-1")
    token = make_viewer_token(front.engine)
    foreign = make_viewer_token(front.engine, room="another")
    for stream_id, bearer, content_type, status in [
        ("stream-1", "-", "application/sdp", 401),
        ("stream-1", "nonsense", "application/sdp", 401),
        ("stream-1", foreign, "application/sdp", 403),
        ("stream-1", token, "text/plain", 415),
        ("stream-1", token, "application/sdp", 400),
        ("none", "-", "application/sdp", 401),
        ("none", token, "application/sdp", 404),
    ]:
        answer = await front.post_offer(stream_id, "x", token=bearer, content_type=content_type)
        assert (answer.status_code, stream_id) == (status, stream_id), answer.text
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert (await front.http.delete("/whep/stream-1/none")).status_code == 200
    preflight = await front.http.request("OPTIONS", "/whep/stream-1")
    assert preflight.status_code == 204
    assert preflight.headers["Accept-Post"] == "application/sdp"


@shared
async def test_a_lost_worker_takes_its_own_tasks_only(front: Cloud) -> None:
    task_ids = [await front.go_on_air(f"stream-{number}") for number in range(6)]
    figures = await health(front, lambda told: tasks_by_worker(told) == [3, 3])
    drives = {task_id: await front.begin_drive(task_id) for task_id in task_ids}
    # The tasks go to the workers in turn, so those at even places have one worker.
    ports = [port_of(drives[task_id][1]) for task_id in task_ids]
    lost, kept = task_ids[0::2], task_ids[1::2]
    assert len(set(ports[0::2])) == len(set(ports[1::2])) == 1
    pids = [worker["pid"] for worker in figures["workers"]]

    os.kill(pids[0], signal.SIGKILL)
    for task_id in lost:
        await front.receiver.until_task(task_id, 5)
        assert front.receiver.task_statuses(task_id) == [1, 3, 5]
        assert front.receiver.drive_statuses(drives[task_id][0]) == [1, 3]
        status = await front.call("GetDigitalHumanStreamTaskStatus", TaskId=task_id)
        assert status["Code"] == STOPPED
    for task_id in kept:
        assert front.receiver.task_statuses(task_id) == [1, 3]
        status = await front.data("GetDigitalHumanStreamTaskStatus", TaskId=task_id)
        assert status["Status"] == 3
    listed = (await front.data("QueryDigitalHumanStreamTasks"))["TaskList"]
    assert {task["TaskId"] for task in listed} == set(kept)

    back = await health(front, lambda told: len(told["workers"]) == 2)
    assert pids[1] in (pids_now := [worker["pid"] for worker in back["workers"]])
    assert pids[0] not in pids_now
    again = [await front.go_on_air(f"stream-{number}") for number in (0, 2, 4)]
    figures = await health(front, lambda told: told["tasks"] == 6)
    assert tasks_by_worker(figures) == [3, 3]
    played = await front.play(again[0], make_tone(0.1).tobytes())
    await front.receiver.until_drive(played, 4)


@shared
async def test_faults_reach_the_workers(front: Cloud) -> None:
    faults: list[dict[str, Any]] = [
        {"kind": "refuse", "code": 400010002, "action": "GetTimbreList", "count": 1},
        {"kind": "init_failure", "reason": "scripted"},
        {"kind": "callback_loss", "count": 1},
    ]
    await front.set_faults(*faults)
    assert (await front.call("GetTimbreList"))["Code"] == 400010002
    assert (await front.call("GetTimbreList"))["Code"] == 0
    task_ids = [await front.create(f"stream-{number}") for number in range(2)]
    for task_id in task_ids:
        failed = await front.receiver.until_task(task_id, 2)
        assert failed["Detail"]["FailReason"] == "scripted"
    told = [front.receiver.task_statuses(task_id) for task_id in task_ids]
    assert sorted(told) == [[1, 2], [2]]
    assert (await front.http.delete("/faults", headers=DEBUG)).json() == {"faults": []}
    await front.go_on_air("stream-3")
