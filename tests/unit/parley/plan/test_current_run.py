"""What a run of `parley up` leaves for the commands beside it."""

import os
from pathlib import Path

import pytest

from parley.certificates.issuing import issue, tls_settings
from parley.plan.current_run import CurrentRun, current_run, is_running, noted
from parley.plan.errors import PlanError


def test_a_run_is_known_by_its_ports_while_it_lasts(tmp_path: Path) -> None:
    run = CurrentRun(tls=tmp_path / "certificates", replicas=2)
    assert not is_running({"TASK_PORT": "1"}, tmp_path / "var")
    with noted(run, {"TASK_PORT": "1"}, tmp_path / "var"):
        assert is_running({"TASK_PORT": "1"}, tmp_path / "var")
        assert current_run({"TASK_PORT": "1"}, tmp_path / "var") == run
        assert current_run({"TASK_PORT": "2"}, tmp_path / "var") == CurrentRun()
        with pytest.raises(PlanError, match="TASK_PORT"):
            current_run({"TASK_PORT": "many"}, tmp_path / "var")
    assert current_run({"TASK_PORT": "1"}, tmp_path / "var") == CurrentRun()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"tls": 1, "replicas": 1}'])
def test_a_note_that_makes_no_sense_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "up-50051.json").write_text(text)
    assert current_run({}, tmp_path) == CurrentRun()
    assert not is_running({}, tmp_path)


def test_a_run_that_was_killed_is_none(tmp_path: Path) -> None:
    (tmp_path / "up-50051.json").write_text(f'{{"tls": null, "replicas": 1, "pid": {os.getpid()}}}')
    assert not is_running({}, tmp_path)


def test_certificates_of_the_environment_are_used_instead(tmp_path: Path) -> None:
    issue(tmp_path)
    run = CurrentRun(tls=tmp_path)
    assert run.environment({}) == tls_settings(tmp_path)
    given = {"GATEWAY_TLS_KEY_FILE": "mine"}
    assert run.environment(given) == given
    (tmp_path / "gateway" / "tls.crt").unlink()
    with pytest.raises(OSError, match="parley certificates"):
        run.environment({})
