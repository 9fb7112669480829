"""What viewers and callers have chosen stays within its line of a log."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.engine.test_process import GOOD

ROOT = Path(__file__).parents[2]
HOSTILE = "a\x1b[2J\r\n2026 [error] forged\u2028\x9b\u202eb"
LOGGING = f"""
import structlog
from engine.logs import configure_logs
from engine.settings import EngineSettings
configure_logs(EngineSettings())
structlog.get_logger().warning("viewer joined", stream_id={HOSTILE!r})
"""


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_a_line_is_one_line(log_format: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOGGING],
        env={**GOOD, "PARLEY_LOG_FORMAT": log_format, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "forged" in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stderr.removesuffix("\n").isprintable()
