"""Faults and recordings: only where a token is set, and only for who has it on this machine."""

import stat
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.engine.conftest import OpenCloud
from tests.support.engine_cloud import DEBUG, Cloud, make_tone

PATHS = ("/faults", "/recordings?stream_id=stream-1", "/recordings/none", "/recordings/none/a.wav")


def recorded(folder: Path) -> list[Path]:
    return list(folder.rglob("*.pcm"))


@pytest.mark.parametrize("path", PATHS)
async def test_without_a_token_set_they_do_not_exist(open_cloud: OpenCloud, path: str) -> None:
    cloud = await open_cloud(debug_token=None)
    answers = [await cloud.http.get(path, headers=headers) for headers in ({}, DEBUG)]
    assert {(answer.status_code, answer.text) for answer in answers} == {(404, "Not Found")}


async def test_without_a_token_set_nothing_is_recorded(
    open_cloud: OpenCloud, tmp_path: Path
) -> None:
    cloud = await open_cloud(debug_token=None)
    task_id = await cloud.go_on_air()
    drive_id = await cloud.play(task_id, make_tone(0.2).tobytes())
    await cloud.receiver.until_drive(drive_id, 4)
    assert recorded(tmp_path) == []


async def test_a_recording_is_readable_for_its_owner_alone(cloud: Cloud, tmp_path: Path) -> None:
    task_id = await cloud.go_on_air()
    drive_id = await cloud.play(task_id, make_tone(0.2).tobytes())
    await cloud.receiver.until_drive(drive_id, 4)
    (file,) = recorded(tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


WITHOUT: list[Any] = [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic x"}]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("headers", WITHOUT)
async def test_without_the_token_nothing_is_told(
    cloud: Cloud, path: str, headers: dict[str, str]
) -> None:
    answer = await cloud.http.get(path, headers=headers)
    assert (answer.status_code, answer.text) == (401, "a debug token is required\n")


@pytest.mark.parametrize("host", ["rebound.example", "rebound.example:8090", "10.0.0.1"])
async def test_a_page_of_a_stranger_is_refused_by_its_host(cloud: Cloud, host: str) -> None:
    answer = await cloud.http.put("/faults", json={"faults": []}, headers={**DEBUG, "Host": host})
    assert answer.status_code == 403


@pytest.mark.parametrize("host", ["localhost", "localhost:8090", "127.0.0.1:8090", "[::1]:8090"])
async def test_this_machine_may_use_any_of_its_names(cloud: Cloud, host: str) -> None:
    answer: httpx.Response = await cloud.http.get("/faults", headers={**DEBUG, "Host": host})
    assert answer.status_code == 200
