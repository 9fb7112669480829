"""The commands that people type: up and its end, doctor's findings."""

import asyncio
import json
import os
import re
import signal
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import httpx
import psutil
import pytest

from bench.chaos.cluster import free_ports
from parley.certificates.issuing import issue
from parley.processes.running import Running
from tests.support.command_line import UP, WITHOUT_MODELS, environment, outcome, parley

API = "/api/digital-human"
MODULES = ("-m engine", "services.avatar", "services.task", "services.speech", "-m gateway")


def offspring(process: Running) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


async def all_gone(processes: list[psutil.Process]) -> bool:
    """Whether all end soon; they are told and need a moment."""
    _, alive = await asyncio.to_thread(psutil.wait_procs, processes, timeout=20)
    return not alive


@pytest.mark.timeout(240)
async def test_up_and_its_end(tmp_path: object) -> None:
    env = environment(TASK_DATABASE=f"{tmp_path}/tasks.sqlite3", **WITHOUT_MODELS)
    async with parley("up", env=env) as (process, said):
        banner = await said.until(UP)
        url = re.search(r"http://\S+", banner)
        assert url
        async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
            assert (await client.get(f"{url[0]}/readyz")).status_code == 200
            order = {"roomId": "room_1", "streamId": "stream_1", "greeting": ""}
            tasks = []
            for tenant_id in ("default", "acme"):
                answer = await client.post(
                    f"{url[0]}{API}/create-task", json=order, headers={"Parley-Tenant": tenant_id}
                )
                tasks.append(answer.json()["taskId"])
        children = offspring(process)
        commands = [" ".join(child.cmdline()) for child in children]
        assert all(any(word in each for each in commands) for word in MODULES)
        os.kill(process.pid, signal.SIGTERM)
        assert await process.wait() == 0, said.text
    assert not [child for child in children if child.is_running()]
    for task_id in tasks:
        assert f"{task_id} stopped" in said.lines
    with closing(sqlite3.connect(f"{tmp_path}/tasks.sqlite3")) as journal:
        found = "SELECT tenant_id, state, stop_reason FROM tasks ORDER BY task_id"
        assert journal.execute(found).fetchall() == [
            ("default", "STOPPED", "REQUESTED"),
            ("acme", "STOPPED", "REQUESTED"),
        ]
    stops = [line for line in said.lines if re.search("down|stopping", line)]
    assert stops[0].startswith("gateway")
    assert stops[-1].startswith("engine")


@pytest.mark.timeout(240)
async def test_commands_beside_an_encrypted_run_that_leaves_nothing_when_it_is_killed(
    tmp_path: Path,
) -> None:
    issue(tmp_path)
    env = environment(TASK_DATABASE=f"{tmp_path}/tasks.sqlite3", **WITHOUT_MODELS)
    async with parley("up", "--tls", str(tmp_path), env=env) as (process, said):
        await said.until(UP)
        code, told = await outcome("keys", "create", "shop", env=env)
        assert code == 0, told
        code, told = await outcome("keys", "list", "--json", env=env)
        (key,) = map(json.loads, told.splitlines())
        assert (code, key["name"], key["role"]) == (0, "shop", "SERVER")
        code, told = await outcome("audit", "--json", env=env)
        (entry,) = map(json.loads, told.splitlines())
        assert (entry["actor"], entry["subject"]) == ("parley keys", key["keyId"])
        _, told = await outcome("doctor", env=env)
        # The vendors of this test answer nobody; our own processes do.
        for name in ("avatar", "task", "speech", "gateway"):
            assert re.search(rf"{name} :\d+ +│ running, healthy", told), told
        children = offspring(process)
        os.kill(process.pid, signal.SIGKILL)
        await process.wait()
        assert await all_gone(children)


@pytest.mark.timeout(240)
async def test_replicas_stand_in_for_each_other(postgres_url: str, tmp_path: Path) -> None:
    env = environment(**WITHOUT_MODELS, **free_ports(replicas=2))
    issue(tmp_path)
    words = ("up", "--replicas", "2", "--database", postgres_url, "--tls", str(tmp_path))
    async with parley(*words, env=env) as (process, said):
        url = re.search(r"http://\S+", await said.until(UP))
        assert url
        assert url[0].endswith(f":{env['PORT']}")
        commands = [" ".join(child.cmdline()) for child in offspring(process)]
        for module, count in zip(MODULES, (1, 2, 2, 2, 2), strict=True):
            # The engine runs in one process; a gateway has another one that decodes.
            assert sum(each.endswith(module) for each in commands) >= count, module
        code, told = await outcome("keys", "list", env=env)
        assert (code, told) == (0, "")
        (task, _) = [each for each in offspring(process) if "services.task" in each.cmdline()]
        task.kill()
        await said.until(r"task-\d ended by itself with exit code -9; it is started again")
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            order = {"roomId": "room_1", "streamId": "stream_1", "greeting": ""}
            created = (await client.post(f"{url[0]}{API}/create-task", json=order)).json()
            assert created["state"] == "STREAMING"
        os.kill(process.pid, signal.SIGTERM)
        assert await process.wait() == 0, said.text
    assert f"{created['taskId']} stopped" in said.lines


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--replicas", "2"), "--replicas 2 needs --database postgresql://"),
        (("--database", "here.sqlite3"), "--database must be like postgresql://"),
        (
            ("--replicas", "2", "--database", "postgresql://me:hush@127.0.0.1:1/x"),
            "PostgreSQL at 127.0.0.1:1 cannot be reached",
        ),
    ],
)
async def test_a_database_that_does_not_serve_is_named_before_anything_starts(
    words: tuple[str, ...], told: str
) -> None:
    code, text = await outcome("up", *words, env=environment(TASK_DATABASE=""))
    assert code == 1
    assert told in text
    assert len(text.splitlines()) == 1
    assert "hush" not in text


async def test_a_wrong_setting_is_named(tmp_path: object) -> None:
    env = environment(TASK_MAX_DURATION_S="long", TASK_DATABASE=f"{tmp_path}/tasks.sqlite3")
    code, text = await outcome("up", env=env)
    assert code == 1
    assert "TASK_MAX_DURATION_S" in text


async def test_a_taken_port_is_named_before_anything_starts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        code, text = await outcome("up", env=environment(SPEECH_PORT=str(port)))
    assert code == 1
    assert f"port {port} for speech is taken" in text
    assert "SPEECH_PORT" in text
    assert "service up" not in text


async def test_doctor_finds_nothing_wrong_on_a_terminal_of_few_characters() -> None:
    code, text = await outcome("doctor", env=environment(PYTHONIOENCODING="ascii"))
    assert code == 0, text
    assert "All is well." in text


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {
                "APP_ID": "none",
                "SERVER_SECRET": "short",
                "GATEWAY_HOST": "0.0.0.0",
                "SPEECH_CHAT": "opnai",
                "TASK_DATABASE_FILE": "/nowhere/name",
                "PARLEY_CACHE": "/nowhere/at/all",
                "AVATAR_CLOUD_URL": "http://127.0.0.1:9",
            },
            (
                "APP_ID",
                "32 characters",
                "GATEWAY_API_KEYS",
                "SPEECH_CHAT",
                "TASK_DATABASE_FILE",
                "parley models pull",
                "no answer from http://127.0.0.1:9",
                "in use, but not by a healthy Parley",
            ),
        ),
        (
            {
                "PARLEY_LLM": "huge",
                "TASK_PORT": "many",
                "SPEECH_CHAT": "openai",
                "https_proxy": "socks5://proxy.example",
                "CALLBACK_SECRET": "one",
                "ENGINE_CALLBACK_SECRET": "two",
            },
            ("PARLEY_LLM", "TASK_PORT", "HTTPS_PROXY", "another secret"),
        ),
    ],
)
async def test_doctor_says_all_that_is_wrong(
    changes: dict[str, str], told: tuple[str, ...]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = {"AVATAR_PORT": str(server.getsockname()[1])}
        code, text = await outcome("doctor", env=environment(**taken | changes))
    assert code == 1, text
    for words in (*told, "to fix"):
        assert words in text


async def test_no_gateway_is_said() -> None:
    code, text = await outcome("talk", "--text", "hello", env=environment())
    assert code == 1
    assert "Is Parley running?" in text
