"""Logs are lines for people, or JSON when asked for, in every process and down to one level."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]

# What a process does before it logs; the engine has its own way, since it imports nothing of ours.
SERVICES = """
from services.runtime.telemetry.logs import configure_logs
from services.runtime.settings.environment import ProcessSettings, load
configure_logs("task", load(ProcessSettings))
"""
ENGINE = """
from engine.logs import configure_logs
from engine.settings import EngineSettings
configure_logs(EngineSettings(app_id=1, server_secret="s" * 32))
"""
LOGGING = """
import structlog
from http import HTTPStatus
log = structlog.get_logger()
log.debug("looked")
log.info("opened", code=HTTPStatus.NOT_FOUND, name="Zoë 你好")
log.warning("closed")
"""


def logged(configuring: str, environment: dict[str, str]) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", configuring + LOGGING],
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}"} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr.splitlines()


@pytest.mark.parametrize("configuring", [SERVICES, ENGINE], ids=["services", "engine"])
def test_logs_are_for_people_unless_a_collector_asks(configuring: str) -> None:
    opened, closed = logged(configuring, {})
    assert "opened" in opened
    assert "code=404" in opened
    assert "你好" in opened
    assert "warning" in closed
    as_json = logged(configuring, {"PARLEY_LOG_FORMAT": "json", "PARLEY_LOG_LEVEL": "debug"})
    told = [json.loads(line) for line in as_json]
    assert [each["event"] for each in told] == ["looked", "opened", "closed"]
    assert told[1]["code"] == 404
    assert all({"level", "timestamp", "process"} <= each.keys() for each in told)
    assert len(logged(configuring, {"PARLEY_LOG_LEVEL": "warning"})) == 1


HOSTILE = "a\x1b[2J\r\nb\u2028c\u202ed\x9be\x07"
LOGGING_HOSTILE = f"""
import logging
text = {HOSTILE!r}
log = structlog.get_logger()
log.info("request ended", path=text, count=1, parts=[text])
logging.getLogger("library").warning("refused %s", text)
try:
    raise ValueError(text)
except ValueError:
    log.exception("failed")
"""


@pytest.mark.parametrize("format", ["console", "json"])
def test_what_a_client_chose_stays_within_its_line(format: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SERVICES + "import structlog" + LOGGING_HOSTILE],
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}", "PARLEY_LOG_FORMAT": format},
        capture_output=True,
        check=True,
    )
    told = done.stderr.decode()
    assert told.replace("\n", "").isprintable()
    first, second = told.split("\n")[:2]
    assert "request ended" in first
    assert "u2028c" in first
    assert second.startswith("WARNING library refused a")
    assert "ValueError" in told


MUCH = 4_000
LOGGING_MUCH = f"""
import sys
import structlog
log = structlog.get_logger()
for number in range({MUCH}):
    log.info("counted", number=number)
print("all logged", flush=True)
sys.stdin.read()
"""


def started(configuring: str, then: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", configuring + then],
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}", "PARLEY_LOG_FORMAT": "json"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


WRITERS = pytest.mark.parametrize(
    ("configuring", "module"),
    [(SERVICES, "services.runtime.telemetry.log_writer"), (ENGINE, "engine.log_writer")],
    ids=["services", "engine"],
)


@pytest.mark.parametrize("is_blocking", [True, False], ids=["blocking", "not blocking"])
@WRITERS
def test_nobody_waits_for_who_reads_the_log_and_what_is_lost_is_told(
    configuring: str, module: str, is_blocking: bool
) -> None:
    patient = f"import os, {module} as log_writer; log_writer.LAST_LINES_S = None\n"
    stderr = f"os.set_blocking(2, {is_blocking})\n"
    with started(patient + stderr + configuring, LOGGING_MUCH) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        # Nobody has read a line of the log by now, which is more than a pipe holds.
        assert process.stdout.readline() == "all logged\n"
        process.stdin.close()
        told = [json.loads(line) for line in process.stderr]
        assert process.wait() == 0
    numbers = [each["number"] for each in told if each["event"] == "counted"]
    reports = [each for each in told if each["event"] == "log lines dropped"]
    assert numbers == sorted(set(numbers))
    assert len(numbers) + len(reports) == len(told)
    assert len(numbers) + sum(each["count"] for each in reports) == MUCH
    assert {each["process"] for each in told} == {told[0]["process"]}


@WRITERS
def test_a_process_ends_though_nobody_reads_its_log(configuring: str, module: str) -> None:
    shortened = f"import {module} as log_writer; log_writer.LAST_LINES_S = 0.1\n"
    with started(shortened + configuring, LOGGING_MUCH) as process:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait() == 0
