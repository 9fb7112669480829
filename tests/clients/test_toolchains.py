"""Missing toolchains are named, and never pass unnoticed in continuous integration."""

import sys

import pytest

from tests.clients.toolchains import Toolchain, require

PRESENT = Toolchain(name="Python", programs={f"{sys.executable} --version": (3, 11)})
OLD = Toolchain(name="Python", programs={f"{sys.executable} --version": (4, 0)})
ABSENT = Toolchain(name="Cobol", programs={"no-such-compiler --version": (1, 2)})


def test_a_toolchain_that_is_there_is_not_missing() -> None:
    assert not PRESENT.missing()
    require(PRESENT)


def test_what_is_absent_is_named() -> None:
    assert ABSENT.missing() == "Cobol: needs no-such-compiler 1.2 or newer"


def test_what_is_too_old_is_named() -> None:
    assert OLD.missing() == f"Python: needs {sys.executable} 4.0 or newer"


def test_a_developer_may_lack_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-compiler"):
        require(ABSENT)


def test_continuous_integration_must_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no-such-compiler"):
        require(ABSENT)
