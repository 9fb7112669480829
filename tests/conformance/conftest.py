"""Gives each behaviour to all vendors that offer it, and watches what is logged of their keys."""

import logging
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from tests.conformance.script import KEY
from tests.conformance.subject import subjects

SUBJECTS = subjects()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each behaviour of a module and each subject of the module's stages."""
    if "subject" not in metafunc.fixturenames:
        return
    behaviour = metafunc.function.__name__.removeprefix("test_")
    chosen = [
        subject
        for subject in SUBJECTS
        if subject.stage in metafunc.module.STAGES and behaviour not in subject.without
    ]
    is_mixed = len(metafunc.module.STAGES) > 1
    ids = [f"{each.stage}-{each.name}" if is_mixed else each.name for each in chosen]
    metafunc.parametrize("subject", chosen, ids=ids)


@pytest.fixture(autouse=True)
def keyless_logs(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No test may leave the key in a log, at any level."""
    with caplog.at_level(logging.DEBUG), capture_logs() as events:
        yield
    assert KEY not in f"{events} {caplog.messages}"
