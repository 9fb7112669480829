"""Settings: all that is wrong is told at once, by the names that an operator knows."""

from pathlib import Path

import pytest
from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from services.runtime.settings.environment import ProcessSettings, SettingsError, load


class Settings(ProcessSettings):
    """Settings as a process has them: with a prefix, a shared name, a secret."""

    model_config = SettingsConfigDict(env_prefix="SAMPLE_")

    port: int = Field(ge=0, le=65535)
    ratio: float = Field(default=0.5, gt=0)
    secret: SecretStr
    shared_token: SecretStr | None = Field(default=None, validation_alias="SHARED_TOKEN")
    shared_limit: int = Field(default=3, validation_alias="SHARED_LIMIT")


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMPLE_PORT", "1234")
    monkeypatch.setenv("SAMPLE_SECRET", "hush")
    # Whatever `load` sets for these is undone.
    monkeypatch.setenv("SHARED_TOKEN", "")


def test_settings_are_read() -> None:
    settings = load(Settings)
    assert (settings.port, settings.ratio, settings.shared_token) == (1234, 0.5, None)
    assert settings.secret.get_secret_value() == "hush"


def test_everything_wrong_is_told_at_once_by_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMPLE_PORT", "70000")
    monkeypatch.setenv("SAMPLE_RATIO", "many")
    monkeypatch.delenv("SAMPLE_SECRET")
    monkeypatch.setenv("SHARED_LIMIT", "x")
    with pytest.raises(SettingsError) as caught:
        load(Settings)
    lines = str(caught.value).splitlines()
    assert {line.partition(":")[0] for line in lines} == {
        "SAMPLE_PORT",
        "SAMPLE_RATIO",
        "SAMPLE_SECRET",
        "SHARED_LIMIT",
    }
    assert all(line.partition(":")[2].strip() for line in lines)


def test_a_bad_value_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMPLE_PORT", "s3cr3t")
    with pytest.raises(SettingsError) as caught:
        load(Settings)
    assert "s3cr3t" not in str(caught.value)


def test_empty_is_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMPLE_RATIO", "")
    assert load(Settings).ratio == 0.5


def test_a_file_holds_the_value(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    held = tmp_path / "secret"
    held.write_text("from the file\n")
    monkeypatch.delenv("SAMPLE_SECRET")
    monkeypatch.setenv("SAMPLE_SECRET_FILE", str(held))
    assert load(Settings).secret.get_secret_value() == "from the file"


def test_a_value_wins_over_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    held = tmp_path / "secret"
    held.write_text("from the file")
    monkeypatch.setenv("SAMPLE_SECRET_FILE", str(held))
    assert load(Settings).secret.get_secret_value() == "hush"


def test_an_unreadable_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SAMPLE_SECRET")
    monkeypatch.setenv("SAMPLE_SECRET_FILE", str(tmp_path / "nowhere"))
    with pytest.raises(SettingsError, match="SAMPLE_SECRET_FILE"):
        load(Settings)


def test_files_that_are_none_of_ours_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/at/all.pem")
    assert load(Settings).port == 1234


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load(Settings).port = 1  # type: ignore[misc]
