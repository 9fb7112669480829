"""What `parley up` gives the processes that it starts."""

from pathlib import Path

import pytest

from parley.plan import PlanError, complete, require_free_ports
from parley.surroundings import callbacks, proxies

FOLDER = Path("/run/parley")


def test_one_secret_signs_and_checks_callbacks_by_default() -> None:
    made = complete({}, folder=FOLDER)
    assert made["CALLBACK_SECRET"] == made["ENGINE_CALLBACK_SECRET"] != ""
    assert complete({}, folder=FOLDER)["CALLBACK_SECRET"] != made["CALLBACK_SECRET"]


@pytest.mark.parametrize("name", ["CALLBACK_SECRET", "ENGINE_CALLBACK_SECRET"])
@pytest.mark.parametrize("suffix", ["", "_FILE"])
def test_a_secret_that_is_set_is_taken_by_both(name: str, suffix: str) -> None:
    found = complete({f"{name}{suffix}": "given"}, folder=FOLDER)
    for each in ("CALLBACK_SECRET", "ENGINE_CALLBACK_SECRET"):
        assert found[f"{each}{suffix}"] == "given"
        assert suffix == "" or each not in found


def test_two_secrets_stay_as_they_are_and_doctor_tells() -> None:
    given = {"CALLBACK_SECRET": "one", "ENGINE_CALLBACK_SECRET": "two"}
    assert complete(given, folder=FOLDER).items() >= given.items()
    [told] = callbacks(given)
    assert told.verdict == "problem"
    assert "one" not in told.found + told.remedy


def test_doctor_tells_that_the_cloud_s_callbacks_are_refused() -> None:
    [told] = callbacks({"APP_ID": "1", "SERVER_SECRET": "s" * 32})
    assert (told.verdict, "CALLBACK_SECRET" in told.found) == ("warning", True)
    [told] = callbacks({"APP_ID": "1", "CALLBACK_SECRET": "given"})
    assert told.verdict == "fine"


@pytest.mark.parametrize(
    ("host", "reached"),
    [("", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("::1", "[::1]")],
)
def test_processes_find_each_other_where_they_listen(host: str, reached: str) -> None:
    hosts = {f"{name}_HOST": host for name in ("TASK", "SPEECH", "AVATAR", "ENGINE", "GATEWAY")}
    made = complete(hosts, folder=FOLDER)
    assert made["GATEWAY_TASK_TARGET"] == f"{reached}:50051"
    assert made["ENGINE_PUBLIC_HOST"] == reached.strip("[]")
    assert made["AVATAR_ENGINE_URL"] == f"http://{reached}:8090"
    assert made["ENGINE_CALLBACK_URL"] == f"http://{reached}:8080/api/callbacks/zego"


@pytest.mark.parametrize(
    ("name", "odd"),
    [
        *(("TASK_HOST", each) for each in ("a b", "http://host", "host:80", "999.1.1.1", "käse")),
        *(("SPEECH_PORT", each) for each in ("80a", "0", "65536", "-1", "８０", "8080.0")),
    ],
)
def test_where_nothing_can_listen_is_named(name: str, odd: str) -> None:
    with pytest.raises(PlanError, match=name):
        require_free_ports({name: odd})


def test_the_engine_is_verified_by_its_own_certificate() -> None:
    made = complete({}, folder=FOLDER)
    assert made["AVATAR_ENGINE_CERTIFICATE"] == made["ENGINE_DRIVE_CERTIFICATE"]
    assert complete({"APP_ID": "1"}, folder=FOLDER).get("ENGINE_DRIVE_CERTIFICATE") is None


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
