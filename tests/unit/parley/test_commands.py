"""What the command line says, where nobody looks at a terminal and where somebody slips."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from rich.text import Text
from typer.testing import CliRunner

from parley.__main__ import app
from parley.administration.audit import entries_of
from parley.administration.tasks import table_of
from parley.gateway_client.connection import address
from parley.lazy_commands import lazy_group
from parley.plan.paths import ROOT
from parley.plan.saved_secrets import SAVED
from parley.terminal.listing import show

PERSONA = """
display_name = "Host"
description = "Hosts."
[languages.en]
voice = "af_heart"
prompt = "You are a host."
greeting = "Welcome."
sample_question = "When?"
"""


def parley(*words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    path = f"{ROOT}{os.pathsep}{ROOT / 'gen'}"
    return subprocess.run(
        [sys.executable, "-m", "parley", *words],
        env=dict(os.environ) | {"PYTHONPATH": path} | settings,
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_command_is_found_and_a_slip_is_helped() -> None:
    # Help has a line of each, for which all are imported.
    helped = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"})
    assert helped.exit_code == 0, helped.exception
    assert "Run everything here until Ctrl-C." in helped.output
    assert "Did you mean 'usage'?" in CliRunner().invoke(app, ["usag"]).output


def test_a_command_that_a_lazy_group_would_hide_is_noticed() -> None:
    lazy = typer.Typer(cls=lazy_group(audit="parley.administration.audit:list_audit"))
    lazy.command("hidden")(print)
    with pytest.raises(AssertionError, match="named as places"):
        typer.main.get_group(lazy)


def test_no_command_waits_for_what_others_need() -> None:
    needed = "import sys, parley.__main__; print(*sys.modules)"
    told = subprocess.run(
        [sys.executable, "-c", needed], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not {"httpx", "pydantic", "grpc", "websockets"} & set(told.stdout.split())


def test_the_version_is_said() -> None:
    assert parley("--version").stdout == "parley 0.1.0\n"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("localhost:8080", "http://localhost:8080"),
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("parley.example.com", "http://parley.example.com"),
        ("[::1]:8080", "http://[::1]:8080"),
        ("https://parley.example.com/", "https://parley.example.com/"),
    ],
)
def test_an_address_may_come_without_its_scheme(text: str, meant: str) -> None:
    assert address(text) == meant


def test_times_are_told_to_the_second() -> None:
    task = {"taskId": "t", "state": "STREAMING", "digitalHumanId": "d", "roomId": "r"}
    table = table_of([task | {"startTime": "2026-01-31T12:00:05.123456Z"}, task])
    assert list(table.columns[-1].cells) == ["2026-01-31 12:00:05 UTC", ""]


def test_names_cannot_command_the_terminal() -> None:
    task = {"taskId": "t", "state": "STREAMING", "roomId": "\x1b[31mRED\x07\u2028[bold]"}
    [room] = table_of([task]).columns[4].cells
    assert Text.from_markup(str(room)).plain == r"\x1b[31mRED\x07\u2028[bold]"


def test_progress_that_nobody_watches_is_a_plain_line_per_file() -> None:
    done = parley("models", "verify", "whisper-base", FORCE_COLOR="1", COLUMNS="20")
    assert done.returncode == 0, done.stdout
    lines = done.stderr.splitlines()
    files = [line for line in done.stdout.splitlines() if "verified" in line]
    assert len(lines) == len(files) > 0
    assert all("Checking whisper-base/" in line and "B)" in line for line in lines)
    assert not set(done.stderr) & set("\r━╸")


def test_all_that_is_wrong_with_personas_is_said(tmp_path: Path) -> None:
    (tmp_path / "host.toml").write_text(PERSONA)
    bad = tmp_path / "guest.toml"
    bad.write_text(PERSONA.replace("af_heart", "nobody"))
    done = parley("persona", "check", SPEECH_PERSONAS=str(tmp_path))
    assert done.returncode == 1
    assert f"{tmp_path}/host.toml: fine: Host speaks en" in done.stdout
    assert f"{bad}: languages.en.voice: there is no voice nobody" in done.stdout


def test_processes_started_by_hand_get_what_they_need() -> None:
    """The recipe of docs/operations.md, up to the moment in which they would serve."""
    recipe = f'eval "$({sys.executable} -m parley env)"; ' + "; ".join(
        f"{sys.executable} -m {module} --check; echo $PARLEY_SERVICE_TOKEN"
        for module in ("engine", "services.avatar")
    )
    done = subprocess.run(
        ["bash", "-c", recipe],
        env={
            "PATH": os.environ["PATH"],
            "HOME": os.environ["HOME"],
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'gen'}",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    # Nothing is found wrong, and both share what is kept for all terminals.
    token, other = done.stdout.split()
    assert token == other
    assert f"PARLEY_SERVICE_TOKEN={token}" in SAVED.read_text()


ENTRIES = [
    {
        "time": "2026-01-31T12:00:05Z",
        "actor": "key 1",
        "action": "task.created",
        "subject": "task_01kdx7c3cn0000000000000000",
        "requestId": "5f0c7a52-8d3e-4a6b-9a57-0f4b8c2d1e90",
    }
]


def test_a_list_that_is_piped_is_as_wide_as_its_texts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    show(ENTRIES, entries_of)
    _, _, row = capsys.readouterr().out.splitlines()
    assert all(text in row for text in ENTRIES[0].values())


def test_a_list_for_programs_has_an_object_per_line(capsys: pytest.CaptureFixture[str]) -> None:
    show([*ENTRIES, {"actor": "é"}], entries_of, is_json=True)
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [
        *ENTRIES,
        {"actor": "é"},
    ]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("certificates", __file__), "is a file"),
        (("up", "--tls", __file__), "is a file"),
        (("erase", "--user", "", "--yes"), "must name a user"),
        (("export", "--user", ""), "must name a user"),
        (("keys", "create", "shop", "--role", "user"), "--user goes with --role user"),
        (("keys", "create", "shop", "--user", "ann"), "--user goes with --role user"),
    ],
)
def test_a_slip_is_told_in_the_words_of_the_command(words: tuple[str, ...], told: str) -> None:
    ended = parley(*words, COLUMNS="200")
    assert ended.returncode == 2
    assert told in ended.stderr


def checkout_with_environment(here: Path, noted: str, python: str) -> Path:
    """A checkout with an environment about which venv has noted something."""
    for name in ("tools/install_dependencies.py", "tools/gen_protos.py", "requirements.lock",
                 "pyproject.toml", "hatch_build.py", ".venv/bin/python",
                 ".venv/.dependencies", ".venv/.installed"):  # fmt: skip
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).touch()
    (here / ".venv/bin/python").unlink()
    (here / ".venv/bin/python").symlink_to(python)
    (here / ".venv/pyvenv.cfg").write_text(noted.format(here=here.resolve()))
    shutil.copy(ROOT / "Makefile", here)
    return here


@pytest.mark.parametrize(
    ("noted", "python", "is_made_anew"),
    [
        ("command = /bin/python -m venv {here}/.venv\n", sys.executable, False),
        ("command = /bin/python -m venv --clear {here}/.venv\n", sys.executable, False),
        ("home = /bin\n", sys.executable, False),
        ("command = /bin/python -m venv {here}/elsewhere/.venv\n", sys.executable, True),
        ("command = /bin/python -m venv {here}/.venv\n", "/no/python", True),
    ],
    ids=["here", "cleared", "another tool", "moved", "python gone"],
)
def test_an_environment_that_runs_no_more_is_made_anew(
    tmp_path: Path, noted: str, python: str, is_made_anew: bool
) -> None:
    here = checkout_with_environment(tmp_path / "a checkout", noted, python)
    planned = subprocess.run(
        ["make", "-n", "install"], cwd=here, capture_output=True, text=True, check=True
    )
    assert ("-m venv --clear .venv" in planned.stdout) == is_made_anew
    assert ("install_dependencies.py" in planned.stdout) == is_made_anew


def test_the_environment_of_another_checkout_is_left_alone(tmp_path: Path) -> None:
    noted = "command = /bin/python -m venv {here}/.venv\n"
    other = checkout_with_environment(tmp_path / "other", noted, sys.executable)
    here = checkout_with_environment(tmp_path / "here", noted, sys.executable)
    shutil.rmtree(here / ".venv")
    (here / ".venv").symlink_to(other / ".venv")
    refused = subprocess.run(
        ["make", "install"], cwd=here, capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2
    assert "Remove the link" in refused.stderr
    assert (here / ".venv/bin/python").exists()


@pytest.mark.parametrize("command", [("talk", "--text"), ("console", "--say")])
def test_who_says_nothing_is_refused_before_anyone_is_on_air(command: tuple[str, str]) -> None:
    refused = CliRunner().invoke(app, [*command, " "])
    assert refused.exit_code == 2
    assert f"give {command[1]} something to say" in refused.output
