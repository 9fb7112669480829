"""What `parley doctor` tells of callbacks and proxies."""

import pytest

from parley.doctor.credentials import callbacks
from parley.doctor.network import proxies


def test_doctor_tells_that_the_cloud_s_callbacks_are_refused() -> None:
    [told] = callbacks({"APP_ID": "1", "SERVER_SECRET": "s" * 32})
    assert (told.verdict, "CALLBACK_SECRET" in told.found) == ("warning", True)
    [told] = callbacks({"APP_ID": "1", "CALLBACK_SECRET": "given"})
    assert told.verdict == "fine"


SOCKS = {"ALL_PROXY": "socks5://me:hush@proxy.example"}
HTTP = {"https_proxy": "http://me:hush@proxy.example"}
OPENAI = {"SPEECH_CHAT": "openai", "SPEECH_RECOGNIZER_FALLBACK": "openai"}


@pytest.mark.parametrize(
    ("environment", "verdict", "words"),
    [
        ({}, "fine", ["none"]),
        (SOCKS, "fine", ["ALL_PROXY", "nothing", "never between our processes"]),
        (HTTP | OPENAI, "fine", ["SPEECH_CHAT", "SPEECH_RECOGNIZER_FALLBACK"]),
        (HTTP | {"APP_ID": "1"}, "fine", ["HTTPS_PROXY", "cloud"]),
        (HTTP | {"NO_PROXY": "*"} | OPENAI, "fine", ["nothing", "NO_PROXY"]),
        (SOCKS | OPENAI, "problem", ["ALL_PROXY", "SPEECH_CHAT"]),
        (
            SOCKS | OPENAI | {"SPEECH_CHAT_BASE_URL": "http://127.0.0.1:8000/v1"},
            "problem",
            ["SPEECH_RECOGNIZER_FALLBACK: ALL_PROXY"],
        ),
    ],
)
def test_doctor_tells_what_proxies_are_for(
    environment: dict[str, str], verdict: str, words: list[str]
) -> None:
    [told] = proxies(environment)
    assert told.verdict == verdict
    assert all(word in told.found for word in words), told.found
    assert "hush" not in told.found
