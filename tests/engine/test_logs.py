"""What viewers and callers have chosen stays within its line of a log."""

import logging

import pytest
import structlog

from engine.logs import configure_logs
from engine.settings import EngineSettings
from tests.engine.test_process import GOOD

HOSTILE = "a\x1b[2J\r\n2026 [error] forged\u2028\x9b\u202eb"


@pytest.fixture(autouse=True)
def as_before() -> object:
    """Other tests log as they did."""
    handlers = logging.root.handlers[:]
    yield
    structlog.reset_defaults()
    logging.root.handlers[:] = handlers


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_a_line_is_one_line(
    log_format: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {**GOOD, "PARLEY_LOG_FORMAT": log_format}.items():
        monkeypatch.setenv(name, value)
    configure_logs(EngineSettings())
    structlog.get_logger().warning("viewer joined", stream_id=HOSTILE)
    told = capsys.readouterr().err
    assert "forged" in told
    assert told.count("\n") == 1
    assert told.removesuffix("\n").isprintable()
