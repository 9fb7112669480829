"""A `.env` that is no text is named, whatever command is asked for."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from parley.__main__ import app


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("PORT=9\n".encode("utf-16"), id="UTF-16"),
        pytest.param("PORT=9 # für\n".encode("latin-1"), id="Latin-1"),
        pytest.param(b"PORT=9\nKEY=\0\n", id="NUL"),
    ],
)
def test_what_cannot_be_read_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes
) -> None:
    monkeypatch.setenv("PORT", "1")  # and taken back after the test
    (tmp_path / ".env").write_bytes(content)
    monkeypatch.setattr("parley.__main__.ROOT", tmp_path)
    result = CliRunner().invoke(app, ["models", "list"])
    assert result.exit_code == 1
    assert ".env cannot be read: it is no text in UTF-8" in result.output.replace("\n", " ")
