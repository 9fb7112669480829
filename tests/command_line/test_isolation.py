"""Nothing leaves the machine, and no proxy of the environment comes between our processes."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from services.speech.embedded.library import LibrarySettings
from tests.support.command_line import UP, environment, outcome, parley
from tests.support.confinement import Confinement, confining
from tests.support.forward_proxy import forward_proxy

DATA = Path(__file__).parents[1] / "data"
QUESTION = DATA / "speech" / "zh_kokoro_zm_yunxi_8.wav"
NOWHERE = "192.0.2.1"  # an address for examples (RFC 5737)

CONNECT = f"import socket; socket.create_connection(('{NOWHERE}', 443))"
SEND = (
    "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM);"
    f" s.{{}}('{NOWHERE}', 443))"
)


@pytest.mark.parametrize(
    ("command", "target"),
    [
        ([sys.executable, "-c", CONNECT], f"{NOWHERE} port 443"),
        ([sys.executable, "-c", SEND.format("sendto(b'x', ")], f"{NOWHERE} port 443"),
        ([sys.executable, "-c", SEND.format("sendmsg([b'x'], [], 0, ")], f"{NOWHERE} port 443"),
        ([sys.executable, "-c", CONNECT.replace(NOWHERE, "2001:db8::1")], "2001:db8::1 port 443"),
        ([sys.executable, "-c", CONNECT.replace(NOWHERE, "host.example")], "port 53"),
        # No line of Python, in a child of a child.
        (["sh", "-c", f"bash -c 'exec 3<>/dev/tcp/{NOWHERE}/443'"], f"{NOWHERE} port 443"),
    ],
)
async def test_an_attempt_to_leave_is_seen_and_refused(command: list[str], target: str) -> None:
    with confining() as confinement:
        process = await asyncio.create_subprocess_exec(
            *confinement.words(command), stderr=asyncio.subprocess.DEVNULL
        )
        assert await process.wait()
    assert confinement.attempts
    assert all(each.endswith(target) for each in confinement.attempts)


async def run_whole_day(env: Mapping[str, str], confinement: Confinement) -> None:
    """Start everything, ask in writing and by voice, stop everything."""
    async with parley("up", env=env, confinement=confinement) as (process, said):
        await said.until(UP)
        code, text = await outcome(
            "talk", "--text", "When do you open?", env=env, confinement=confinement
        )
        assert code == 0, f"{text}\n{said.text}"
        assert re.search(r"Heard:\s+\w", text), text
        spoken = ["--json", "--wav", str(QUESTION), "--persona", "terse", "--lang", "zh"]
        code, text = await outcome("talk", *spoken, env=env, confinement=confinement)
        assert code == 0, f"{text}\n{said.text}"
        assert "博物馆旁边" in json.loads(text)["heard"]
        os.kill(process.pid, signal.SIGINT)
        assert await process.wait() == 0, said.text


@pytest.mark.timeout(240)
async def test_nothing_leaves_and_no_proxy_is_asked(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    async with forward_proxy() as proxy:
        env = environment(
            PARLEY_LLM="small",
            # Who says little: what leaves does not depend on how long a reply is.
            SPEECH_PERSONAS=str(DATA / "personas"),
            SPEECH_DEFAULT_PERSONA="pia",
            PARLEY_CACHE=str(LibrarySettings().cache),
            HOME=str(home),
            LC_ALL="C",
            SSL_CERT_FILE="/nowhere/at/all.pem",
            TASK_DATABASE=str(tmp_path / "tasks.sqlite3"),
            http_proxy=proxy.url,
            HTTPS_PROXY=proxy.url,
            all_proxy=proxy.url.replace("http", "socks5"),
        )
        with confining() as confinement:
            await run_whole_day(env, confinement)
    assert confinement.attempts == []
    assert proxy.asked == []
    # An id of the machine is the first step of reporting.
    assert list(home.rglob("*")) == []
