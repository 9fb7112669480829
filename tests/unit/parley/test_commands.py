"""What the command line says, where nobody looks at a terminal and where somebody slips."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from parley.gateway import address
from parley.plan import ROOT

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


def test_progress_that_nobody_watches_is_a_plain_line_per_file() -> None:
    done = parley("models", "verify", "whisper-base", FORCE_COLOR="1", COLUMNS="20")
    assert done.returncode == 0, done.stdout
    lines = done.stderr.splitlines()
    files = [line for line in done.stdout.splitlines() if "verified" in line]
    assert len(lines) == len(files) > 0
    assert all("Checking whisper-base/" in line and "B)" in line for line in lines)
    assert not set(done.stderr) & set("\r━╸")


def test_all_that_is_wrong_with_a_persona_is_said(tmp_path: Path) -> None:
    good, bad = tmp_path / "host.toml", tmp_path / "guest.toml"
    good.write_text(PERSONA)
    bad.write_text(PERSONA.replace("af_heart", "nobody").replace("greeting", "greting"))
    done = parley("persona", "check", str(good))
    assert (done.returncode, done.stdout) == (0, f"{good}: fine: Host speaks en\n")
    done = parley("persona", "check", SPEECH_PERSONAS=str(tmp_path))
    assert done.returncode == 1
    assert f"{bad}: languages.en.greeting: is required" in done.stdout
    assert f"{bad}: languages.en.greting: is unknown" in done.stdout
    assert f"{good}: fine" in done.stdout
    done = parley("persona", "check", str(good), SPEECH_SYNTHESIZER="nobody")
    assert done.returncode == 2
    assert "SPEECH_SYNTHESIZER" in done.stderr
