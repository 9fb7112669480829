"""`python -m engine` as a process: its settings, its start, its stop."""

import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path

import httpx
import pytest

from engine.app import running
from engine.settings import EngineSettings, SettingsError, read_settings
from engine.workers.process import HEALTH_EVERY_S
from tests.support.processes import await_end

SECRET = "0123456789abcdef0123456789abcdef"
GOOD = {
    "PARLEY_LOG_FORMAT": "json",
    "ENGINE_APP_ID": "7",
    "ENGINE_SERVER_SECRET": SECRET,
    "ENGINE_PORT": "0",
    "ENGINE_DRIVE_PORT": "0",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in list(os.environ):
        if name.startswith("ENGINE_"):
            monkeypatch.delenv(name)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_good_settings(environment: pytest.MonkeyPatch) -> None:
    settings = read_settings()
    assert (settings.app_id, settings.host, settings.port) == (7, "127.0.0.1", 0)
    assert SECRET not in repr(settings)


def test_all_bad_variables_are_named_at_once(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("ENGINE_APP_ID")
    bad = {
        "ENGINE_SERVER_SECRET": "short",
        "ENGINE_PORT": "70000",
        "ENGINE_CALLBACK_URL": "ftp://host",
        "ENGINE_INIT_DELAY_S": "-1",
        "ENGINE_MAX_TASKS": "many",
        "ENGINE_RECORDINGS_DIR": "/no/such/folder",
        "ENGINE_LOG_LEVEL": "loud",
    }
    for name, value in bad.items():
        environment.setenv(name, value)
    with pytest.raises(SettingsError) as raised:
        read_settings()
    named = {line.partition(":")[0] for line in str(raised.value).splitlines()}
    assert named == {"ENGINE_APP_ID", *bad}
    assert "short" not in str(raised.value)


@pytest.mark.parametrize("secret", ["é" * 32, "x" * 31, "x" * 33, ""])
def test_bad_secret(environment: pytest.MonkeyPatch, secret: str) -> None:
    environment.setenv("ENGINE_SERVER_SECRET", secret)
    with pytest.raises(SettingsError, match="ENGINE_SERVER_SECRET: must be 32 ASCII"):
        read_settings()


def test_callbacks_need_a_secret(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("ENGINE_CALLBACK_URL", "http://127.0.0.1/hook")
    with pytest.raises(SettingsError, match="ENGINE_CALLBACK_SECRET"):
        read_settings()
    environment.setenv("ENGINE_CALLBACK_SECRET", "too-short")
    with pytest.raises(SettingsError, match="ENGINE_CALLBACK_SECRET"):
        read_settings()
    environment.setenv("ENGINE_CALLBACK_SECRET", f"{SECRET},{SECRET[::-1]}")
    assert read_settings().signing_secret == SECRET


def test_secrets_of_the_account_are_of_one_length(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("ENGINE_SERVER_SECRET", f"{SECRET},{SECRET[::-1]}")
    assert read_settings().server_secrets == (SECRET, SECRET[::-1])
    environment.setenv("ENGINE_SERVER_SECRET", f"{SECRET},short")
    with pytest.raises(SettingsError, match="ENGINE_SERVER_SECRET"):
        read_settings()


def test_secret_from_a_file(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    environment.delenv("ENGINE_SERVER_SECRET")
    environment.setenv("ENGINE_SERVER_SECRET_FILE", str(tmp_path / "secret"))
    assert read_settings().server_secret.get_secret_value() == SECRET
    environment.setenv("ENGINE_SERVER_SECRET_FILE", str(tmp_path / "none"))
    with pytest.raises(SettingsError, match="cannot be read"):
        read_settings()


def test_every_setting_says_what_it_must_be() -> None:
    assert all(field.description for field in EngineSettings.model_fields.values())


async def test_it_may_live_on_the_other_loopback() -> None:
    settings = EngineSettings(
        host="::1", public_host="::1", port=0, drive_port=0, app_id=7, server_secret=SECRET
    )
    async with running(settings) as engine:
        assert engine.base_url.startswith("http://[::1]:")
        async with httpx.AsyncClient(base_url=engine.base_url, timeout=30, trust_env=False) as http:
            assert (await http.get("/healthz")).json()["status"] == "ok"


async def test_what_the_system_refuses_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = {"ENGINE_PORT": str(taken.getsockname()[1])}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "engine"),
            env={**os.environ, **GOOD, **port},
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await process.communicate()
    assert process.returncode == 1
    assert b"engine: " in said
    assert b"Traceback" not in said


async def test_what_the_system_refuses_a_worker_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        # The second worker has the port after the first one's.
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "engine"),
            env={**os.environ, **GOOD, "ENGINE_WORKERS": "2", "ENGINE_DRIVE_PORT": str(port - 1)},
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await process.communicate()
    assert process.returncode == 1
    assert b"engine: a worker: " in said
    assert str(port).encode() in said
    assert b"Traceback" not in said


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
async def test_process_starts_and_stops_cleanly(name: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "engine", env={**os.environ, **GOOD}, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    async with asyncio.timeout(60):
        ready = json.loads(await process.stderr.readline())
        assert ready["event"] == "engine ready"
        async with httpx.AsyncClient(base_url=ready["base_url"], timeout=30) as http:
            assert (await http.get("/healthz")).json()["status"] == "ok"
        process.send_signal(getattr(signal, name))
        _, rest = await process.communicate()
    assert process.returncode == 0
    assert [json.loads(line)["event"] for line in rest.splitlines()] == ["engine stopping"]


async def test_process_with_bad_settings_ends_at_once() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "engine",
        env={**os.environ, **GOOD, "ENGINE_APP_ID": "0"},
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        _, told = await process.communicate()
    assert process.returncode == 2
    assert told.decode().splitlines() == ["ENGINE_APP_ID: must be a number from 1 to 4294967295"]


async def test_a_check_says_what_is_wrong_with_the_settings_and_serves_nothing() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "engine", "--check"),
        env={**os.environ, **GOOD, "ENGINE_APP_ID": "0", "PARLEY_LOG_LEVEL": "loud"},
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        told, _ = await process.communicate()
    assert process.returncode == 0
    found = [json.loads(line) for line in told.decode().splitlines()]
    assert {each["subject"] for each in found} == {"ENGINE_APP_ID", "PARLEY_LOG_LEVEL"}
    assert {each["verdict"] for each in found} == {"problem"}


@pytest.mark.parametrize("names", [["SIGTERM"], ["SIGKILL"], ["SIGSTOP", "SIGKILL"]], ids="-".join)
async def test_workers_end_with_their_front(names: list[str]) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "engine",
        env={**os.environ, **GOOD, "ENGINE_WORKERS": "2"},
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    async with asyncio.timeout(60):
        while (ready := json.loads(await process.stderr.readline()))["event"] != "engine ready":
            pass
        async with httpx.AsyncClient(base_url=ready["base_url"], timeout=30) as http:
            workers = (await http.get("/healthz")).json()["workers"]
        assert len(workers) == 2
        for name in names:
            process.send_signal(getattr(signal, name))
            if name == "SIGSTOP":
                # There are reports that nobody will have read.
                await asyncio.sleep(2 * HEALTH_EVERY_S)
        # All have the same stderr, but a process closes its files a little before it has ended.
        told = [json.loads(line)["event"] for line in (await process.stderr.read()).splitlines()]
        assert ("engine stopping" in told) == (names == ["SIGTERM"])
        for worker in workers:
            await await_end(worker["pid"])
        assert await process.wait() == (0 if names == ["SIGTERM"] else -signal.SIGKILL)
