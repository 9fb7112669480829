"""Recordings: how they are found, and what is dropped when the budget is used up."""

from pathlib import Path

import numpy as np
from structlog.testing import capture_logs

from engine.audio.recordings import keeping_recordings
from tests.support.engine_cloud import DEBUG, Cloud, make_noise, make_tone

MEGABYTE = 2**20


def recorded(folder: Path) -> list[Path]:
    return list(folder.rglob("*.pcm"))


async def test_found_by_task_and_by_stream(cloud: Cloud) -> None:
    task_id = await cloud.go_on_air("stream-7", room_id="room-7")
    drive_id = await cloud.play(task_id, make_tone(0.1).tobytes())
    await cloud.receiver.until_drive(drive_id, 4)
    by_task = await cloud.recording(task_id)
    by_stream = (
        await cloud.http.get("/recordings", params={"stream_id": "stream-7"}, headers=DEBUG)
    ).json()
    assert by_stream == by_task
    assert (by_task["stream_id"], by_task["room_id"]) == ("stream-7", "room-7")
    [drive] = by_task["drives"]
    assert drive["drive_id"] == drive_id
    assert drive["started_time"] < drive["ended_time"]
    assert drive["wav"] == f"/recordings/{task_id}/{drive_id}.wav"
    await cloud.data("StopDigitalHumanStreamTask", TaskId=task_id)
    after = (
        await cloud.http.get("/recordings", params={"stream_id": "stream-7"}, headers=DEBUG)
    ).json()
    assert after["drives"] == by_task["drives"]


async def test_the_living_task_of_a_stream_hides_the_earlier_one(cloud: Cloud) -> None:
    earlier = await cloud.go_on_air("stream-7")
    await cloud.data("StopDigitalHumanStreamTask", TaskId=earlier)
    living = await cloud.go_on_air("stream-7")
    found = (
        await cloud.http.get("/recordings", params={"stream_id": "stream-7"}, headers=DEBUG)
    ).json()
    assert found["task_id"] == living


async def test_unknown_ones_are_not_found(cloud: Cloud) -> None:
    task_id = await cloud.go_on_air()
    for path in (
        "/recordings",
        "/recordings?stream_id=none",
        "/recordings/none",
        "/recordings/none/none.wav",
        f"/recordings/{task_id}/none.wav",
        f"/recordings/{task_id}/..%2f..%2fetc%2fpasswd",
    ):
        assert (await cloud.http.get(path, headers=DEBUG)).status_code == 404, path


async def test_drive_that_was_not_played_has_an_empty_recording(cloud: Cloud) -> None:
    task_id = await cloud.go_on_air()
    drive_id, _ = await cloud.begin_drive(task_id)
    assert len(await cloud.played(task_id, drive_id)) == 0


def test_oldest_go_first(tmp_path: Path) -> None:
    with keeping_recordings(tmp_path, 4 * MEGABYTE) as recordings:
        for name in "abcde":
            recordings.open(name, stream_id="one").write(make_noise(MEGABYTE // 2), 24000)
        assert recordings.get("a") is None
        kept = recordings.get("e")
        assert kept is not None
        assert len(kept.read_wav()) == 44 + MEGABYTE
        assert len(list(tmp_path.rglob("*.pcm"))) == 4
    assert list(tmp_path.iterdir()) == []


def test_one_recording_has_its_share_only(tmp_path: Path) -> None:
    with keeping_recordings(tmp_path, 4 * MEGABYTE) as recordings:
        recording = recordings.open("long", stream_id="one")
        for _ in range(5):
            recording.write(make_noise(MEGABYTE // 4), 24000)
        assert recording.size == MEGABYTE


def test_dropped_recording_keeps_nothing_that_follows(tmp_path: Path) -> None:
    with keeping_recordings(tmp_path, 4 * MEGABYTE) as recordings:
        recording = recordings.open("dropped", stream_id="one")
        recording.write(np.ones(10, np.int16), 24000)
        recording.delete()
        recording.write(np.ones(10, np.int16), 24000)
        assert list(tmp_path.rglob("*.pcm")) == []


def test_a_disk_that_takes_no_recording_stops_no_drive(tmp_path: Path) -> None:
    with keeping_recordings(tmp_path, MEGABYTE) as recordings:
        [folder] = tmp_path.iterdir()
        folder.rmdir()
        recording = recordings.open("drive", stream_id="one")
        for _ in range(2):
            recording.write(make_tone(0.1), 24_000)
        assert len(recording.read_wav()) == 44
        recording.close()


def test_a_disk_that_is_full_at_the_end_keeps_nothing_and_it_is_told(tmp_path: Path) -> None:
    with keeping_recordings(tmp_path, MEGABYTE) as recordings:
        [folder] = tmp_path.iterdir()
        (folder / "drive.pcm").symlink_to("/dev/full")
        recording = recordings.open("drive", stream_id="one")
        recording.write(make_tone(0.1), 24_000)
        with capture_logs() as logged:
            recording.close()
        assert [each["event"] for each in logged] == ["recording not kept"]
        assert len(recording.read_wav()) == 44
        assert list(folder.iterdir()) == []


async def test_those_of_a_stream_are_deleted_and_nothing_follows(
    cloud: Cloud, tmp_path: Path
) -> None:
    async def play(stream_id: str) -> str:
        task_id = await cloud.go_on_air(stream_id)
        drive_id = await cloud.play(task_id, make_tone(0.1).tobytes())
        await cloud.receiver.until_drive(drive_id, 4)
        return task_id

    hers, another = await play("hers"), await play("another")
    await cloud.data("StopDigitalHumanStreamTask", TaskId=hers)
    again = await play("hers")
    answer = await cloud.http.delete("/recordings", params={"stream_id": "hers"}, headers=DEBUG)
    assert answer.status_code == 204
    kept = {task: (await cloud.recording(task))["drives"][0]["wav"] for task in (hers, again)}
    assert kept == {hers: None, again: None}
    assert len(recorded(tmp_path)) == 1
    assert (await cloud.recording(another))["drives"][0]["wav"]
    everything = await cloud.http.delete("/recordings?all=true", headers=DEBUG)
    assert everything.status_code == 204
    assert recorded(tmp_path) == []


UNCLEAR = ["", "streamId=hers", "stream_id=", "all=yes", "stream_id=a&stream_id=b",
           "stream_id=hers&all=true"]  # fmt: skip


async def test_what_is_to_be_deleted_must_be_said(cloud: Cloud) -> None:
    task_id = await cloud.go_on_air("hers")
    await cloud.begin_drive(task_id)
    for query in UNCLEAR:
        refused = await cloud.http.delete(f"/recordings?{query}", headers=DEBUG)
        assert (refused.status_code, query) == (400, query)
        assert "stream_id={StreamId} or all=true" in refused.text
    assert (await cloud.recording(task_id))["drives"][0]["wav"]
