"""`parley models` says what it does and what is wrong."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from parley.models import models_app


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("PARLEY_CACHE", str(tmp_path))
    monkeypatch.setenv("PARLEY_LLM", "small")
    return CliRunner()


def test_list_shows_every_model(runner: CliRunner) -> None:
    result = runner.invoke(models_app, ["list"])
    assert result.exit_code == 0
    for name in ("whisper-base", "kokoro-82m", "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"):
        assert name in result.output


def test_verify_of_an_empty_store_fails_and_says_what_to_do(runner: CliRunner) -> None:
    result = runner.invoke(models_app, ["verify", "kokoro-82m"])
    assert result.exit_code == 1
    assert "kokoro-82m/kokoro-v1.0.int8.onnx: missing" in result.output
    assert "parley models pull" in result.output


def test_an_unknown_model_is_refused(runner: CliRunner) -> None:
    result = runner.invoke(models_app, ["pull", "gpt"])
    assert result.exit_code == 2
    assert "gpt" in result.output


def test_a_bad_setting_is_named(runner: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLEY_LLM", "huge")
    result = runner.invoke(models_app, ["list"])
    assert result.exit_code == 2
    assert "PARLEY_LLM" in result.output
