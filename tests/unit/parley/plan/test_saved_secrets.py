"""Secrets are made once, kept for their owner alone, and never in the way of those given."""

import stat
from pathlib import Path

import pytest

from parley.plan.saved_secrets import complete_for_client, complete_with_saved

NAMES = {"PARLEY_SERVICE_TOKEN", "ENGINE_APP_ID", "ENGINE_SERVER_SECRET", "CALLBACK_SECRET"}


def secrets(completed: dict[str, str]) -> dict[str, str]:
    return {name: completed[name] for name in NAMES if name in completed}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "var" / "secrets.env"


def test_a_second_run_has_the_secrets_of_the_first(path: Path) -> None:
    first = complete_with_saved({}, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert secrets(complete_with_saved({}, path)) == secrets(first)
    assert len(secrets(first)) == len(NAMES)
    path.unlink()
    assert secrets(complete_with_saved({}, path)) != secrets(first)


def test_what_is_given_is_neither_replaced_nor_kept(path: Path) -> None:
    complete_with_saved({}, path)
    given = {"PARLEY_SERVICE_TOKEN": "given", "ENGINE_CALLBACK_SECRET": "given too"}
    completed = complete_with_saved(given, path)
    assert completed["PARLEY_SERVICE_TOKEN"] == "given"
    assert "given" not in path.read_text()
    assert "PARLEY_SERVICE_TOKEN" not in complete_with_saved(
        {"PARLEY_SERVICE_TOKEN_FILE": "/run/token"}, path
    )


def test_a_client_with_the_token_needs_no_folder(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    unwritable = file / "var" / "secrets.env"
    for given in ({"PARLEY_SERVICE_TOKEN": "given"}, {"PARLEY_SERVICE_TOKEN_FILE": "/run/token"}):
        assert given.items() <= complete_for_client(given, unwritable).items()
    with pytest.raises(NotADirectoryError):
        complete_for_client({}, unwritable)


def test_a_client_without_the_token_has_the_saved_one(path: Path) -> None:
    token = complete_with_saved({}, path)["PARLEY_SERVICE_TOKEN"]
    assert complete_for_client({}, path)["PARLEY_SERVICE_TOKEN"] == token


def test_the_real_cloud_gets_no_secrets_of_the_engine(path: Path) -> None:
    complete_with_saved({}, path)
    completed = complete_with_saved({"APP_ID": "1", "SERVER_SECRET": "s" * 32}, path)
    assert not NAMES & completed.keys() - {"PARLEY_SERVICE_TOKEN"}
