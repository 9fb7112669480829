"""Whatever odd text stands in a setting, the process that reads it names the variable at start."""

from collections.abc import Iterator

import pytest
from pydantic_settings import BaseSettings

import engine.settings
from engine.settings import EngineSettings, read_settings
from gateway.settings import GatewaySettings
from services.avatar.settings import AvatarSettings
from services.runtime.settings.environment import ProcessSettings, SettingsError, load, variables
from services.speech.settings import SpeechSettings
from services.task.settings import TaskSettings
from tools.env_example import SECTIONS

SECRET = "0123456789abcdef0123456789abcdef"
NEEDED = {
    "ENGINE_APP_ID": "7",
    "ENGINE_SERVER_SECRET": SECRET,
    "ENGINE_CALLBACK_URL": "http://127.0.0.1/hook",
    "ENGINE_CALLBACK_SECRET": SECRET,
    "APP_ID": "7",
    "SERVER_SECRET": SECRET,
    # With these a service may listen at any address.
    "PARLEY_SERVICE_TOKEN": SECRET,
    "PARLEY_PLAIN_NETWORK": "true",
}
ODD_TEXTS = {
    "newline": "abc\ndef",
    "end of line": "abc\r",
    "control character": "abc\x1b[0m",
    "zero-width space": "abc\u200b",
    "no-break space": "abc\u00a0",
    "byte order mark": "\ufeffabc",
    "quotes": '"abc"',
    "half of the quotes": "'abc",
    "curly quotes": "“abc”",
    "surrogate": "abc\udcff",
}
ODD_SECRETS = {
    "accent": "clé",
    "Chinese": "密钥",
    "space": "abc def",
    "ends": " abc ",
    "tab": "a\tb",
}


def settings_and_names(*, secret: bool) -> Iterator[tuple[type[BaseSettings], list[str]]]:
    for _, settings in SECTIONS:
        found = [
            variable.names[-1]
            for variable in variables(settings)
            if not secret or "SecretStr" in str(variable.annotation)
        ]
        if found:
            yield settings, found


@pytest.fixture(autouse=True)
def _needed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in NEEDED.items():
        monkeypatch.setenv(name, value)


def faults(settings: type[BaseSettings]) -> list[str]:
    """What a process with these settings says before it ends, nothing if it would start."""
    try:
        if issubclass(settings, ProcessSettings):
            load(settings)
        else:
            read_settings()
    except (SettingsError, engine.settings.SettingsError) as error:
        return str(error).splitlines()
    return []


def faults_of_all(
    settings: type[BaseSettings], names: list[str], text: str, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """What a process says where the text stands in all of these settings."""
    with monkeypatch.context() as environment:
        for name in names:
            environment.setenv(name, text)
        return faults(settings)


@pytest.mark.parametrize("odd", ODD_TEXTS.values(), ids=ODD_TEXTS)
def test_traces_of_a_bad_copy_are_named_in_every_setting(
    monkeypatch: pytest.MonkeyPatch, odd: str
) -> None:
    for settings, names in settings_and_names(secret=False):
        told = faults_of_all(settings, names, odd, monkeypatch)
        named = {line.partition(":")[0] for line in told}
        assert set(names) <= named
        assert odd not in "\n".join(told)


@pytest.mark.parametrize("odd", ODD_SECRETS.values(), ids=ODD_SECRETS)
def test_what_no_header_can_carry_is_no_secret(monkeypatch: pytest.MonkeyPatch, odd: str) -> None:
    # A path may have any character, and lists may have blanks between their items.
    taken = {"TASK_DATABASE"} | ({"GATEWAY_API_KEYS"} if odd == " abc " else set())
    for settings, names in settings_and_names(secret=True):
        told = faults_of_all(settings, names, odd, monkeypatch)
        named = {line.partition(":")[0] for line in told}
        assert set(names) <= named | taken
        assert odd not in "\n".join(told)


HOSTS = ["a b", "http://host", "host:80", "host/path", "999.1.1.1", "[::1]", "käse"]
TARGETS = [
    *("host", "host:", ":50051", "http://host:50051", "host:0", "host:70000", "host:port"),
    *("a b:1", "me@host:1", "host:50051/", "host:50051?x", "::1:50051"),
    *("host:1,", "host:1,,host:2", "host:1 host:2", "host:1,host", "host:1,host:1"),
    *("dns:///host", "dns:///", "dns://host:1", "unix:/socket", "host:1,dns:///host"),
]
URLS = [
    *("host", "host:8000/v1", "//host/v1", "ftp://host", "http://", "http:///v1", "http://:80"),
    *("http://a b", "http://host:0", "http://host:70000", "http://host:port", "http://[::1"),
    *("http://me:hush@host", "http://host/?key=hush", "http://host/#top", "http://host\\v1"),
    *(
        "http://ho st",
        "http://host:",
        "http://käse",
        " http://host",
        "http://256.0.0.1",
        "http//host",
    ),
]
ENDPOINTS = [
    *("http://host/v1/chat/completions", "http://host/v1/chat/completions/"),
    *("http://host/v1/audio/speech", "http://host/v1/audio/transcriptions", "http://host/audio"),
]
CASES = [
    *((AvatarSettings, "AVATAR_HOST", each) for each in HOSTS),
    *((GatewaySettings, "GATEWAY_HOST", each) for each in HOSTS),
    *((EngineSettings, "ENGINE_HOST", each) for each in HOSTS),
    *((EngineSettings, "ENGINE_PUBLIC_HOST", each) for each in HOSTS),
    *((TaskSettings, "TASK_AVATAR_TARGET", each) for each in TARGETS),
    *(
        (TaskSettings, name, each)
        for name in ("TASK_DATABASE", "TASK_DATABASE_LISTEN")
        for each in ("mysql://me:hush@host/name", "postgresql://", "postgresql://me:hu sh@host/n")
    ),
    (TaskSettings, "TASK_DATABASE_LISTEN", "var/tasks.sqlite3"),
    *((GatewaySettings, "GATEWAY_SPEECH_TARGET", each) for each in TARGETS),
    *((SpeechSettings, "SPEECH_CHAT_BASE_URL", each) for each in URLS + ENDPOINTS),
    *((SpeechSettings, "SPEECH_SYNTHESIZER_FALLBACK_BASE_URL", each) for each in URLS + ENDPOINTS),
    *((AvatarSettings, "AVATAR_CLOUD_URL", each) for each in URLS),
    *((AvatarSettings, "AVATAR_CLOUD_PUBLIC_URL", each) for each in URLS),
    *((AvatarSettings, "AVATAR_EXPRESS_SERVER", each) for each in [*URLS, "https://host"]),
    *((SpeechSettings, "SPEECH_CHAT_MODEL", each) for each in (" gpt", "gpt ", " ")),
    *(
        (SpeechSettings, "SPEECH_SYNTHESIZER_VOICES", each)
        for each in (",", "coral,,ash", "coral,")
    ),
    *((GatewaySettings, "GATEWAY_API_KEYS", each) for each in (",", " ", "one,two three", "short")),
    *(
        (GatewaySettings, "GATEWAY_ALLOWED_ORIGINS", each)
        for each in ("app.example", "https://app.example/", "https://a.example;https://b.example")
    ),
    *(
        (settings, name, port)
        for settings, name in [
            (GatewaySettings, "GATEWAY_PORT"),
            (GatewaySettings, "PORT"),
            (TaskSettings, "TASK_PORT"),
            (SpeechSettings, "SPEECH_METRICS_PORT"),
            (EngineSettings, "ENGINE_DRIVE_PORT"),
        ]
        for port in ("-1", "65536", "80a", "8080.5", "http", "0x50")
    ),
]


@pytest.mark.parametrize(("settings", "name", "odd"), CASES)
def test_what_is_no_such_value_is_named(
    monkeypatch: pytest.MonkeyPatch, settings: type[BaseSettings], name: str, odd: str
) -> None:
    monkeypatch.setenv(name, odd)
    told = faults(settings)
    assert [line for line in told if line.startswith(f"{name}:")], told
    assert "hush" not in "\n".join(told)


@pytest.mark.parametrize(
    ("settings", "name", "usual"),
    [
        (SpeechSettings, "SPEECH_CHAT_BASE_URL", "http://localhost:11434/v1/"),
        (SpeechSettings, "SPEECH_CHAT_BASE_URL", "https://api.vendor.example/compatible-mode/v1"),
        (SpeechSettings, "SPEECH_CHAT_BASE_URL", "http://[::1]:8000"),
        (SpeechSettings, "SPEECH_CHAT_BASE_URL", "http://my_model_server:8000/v1"),
        (SpeechSettings, "SPEECH_CHAT_MODEL", "qwen2.5:7b-instruct/q4 K_M"),
        (SpeechSettings, "SPEECH_CHAT_API_KEY", "sk-proj_A/b+c=:~!#$%"),
        (SpeechSettings, "SPEECH_TASK_TARGET", "task-1.parley.svc.cluster.local:50051"),
        (SpeechSettings, "SPEECH_TASK_TARGET", "[::1]:50051"),
        (SpeechSettings, "SPEECH_TASK_TARGET", "task-1:50051, task-2:50051"),
        (GatewaySettings, "GATEWAY_SPEECH_TARGET", "dns:///speech.parley.svc:50052"),
        (TaskSettings, "TASK_AVATAR_TARGET", "avatar:50053,dns:///more-avatars:50053"),
        (SpeechSettings, "SPEECH_HOST", "::"),
        (TaskSettings, "TASK_DATABASE", "/srv/数字 人/tasks.sqlite3"),
        (
            TaskSettings,
            "TASK_DATABASE",
            "postgresql://me:hush@one:5432,two:5432/name?sslmode=require",
        ),
        (SpeechSettings, "SPEECH_PERSONAS", "/srv/数字 人/personas"),
        (GatewaySettings, "GATEWAY_API_KEYS", "the-first-long-key, the-second-long-key"),
        (GatewaySettings, "GATEWAY_ALLOWED_ORIGINS", "*"),
        (
            GatewaySettings,
            "GATEWAY_ALLOWED_ORIGINS",
            "http://localhost:3000, capacitor://localhost",
        ),
        (GatewaySettings, "GATEWAY_HOST", "localhost"),
        (AvatarSettings, "AVATAR_CLOUD_URL", "https://proxy.example/zego/"),
        (AvatarSettings, "AVATAR_DRIVE_FINGERPRINTS", f"{'ab' * 32}, {'cd' * 32}"),
        (EngineSettings, "ENGINE_HOST", "::1"),
        (EngineSettings, "ENGINE_RECORDINGS_DIR", ""),
    ],
)
def test_what_is_usual_is_taken(
    monkeypatch: pytest.MonkeyPatch, settings: type[BaseSettings], name: str, usual: str
) -> None:
    monkeypatch.setenv(name, usual)
    assert faults(settings) == []


def test_an_odd_proxy_is_named_where_a_vendor_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://me:hush@proxy.example")
    for name in ("all_proxy", "https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert faults(SpeechSettings) == faults(TaskSettings) == faults(EngineSettings) == []
    monkeypatch.setenv("SPEECH_CHAT", "openai")
    monkeypatch.setenv("SPEECH_CHAT_BASE_URL", "http://127.0.0.1:8000/v1")
    assert faults(SpeechSettings) == []
    monkeypatch.setenv("SPEECH_CHAT_BASE_URL", "https://vendor.example/v1")
    for settings in (SpeechSettings, AvatarSettings):
        [told] = faults(settings)
        assert told.startswith("ALL_PROXY: ")
        assert "hush" not in told


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_authorities_that_are_not_there_are_named_where_a_vendor_needs_them(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "/nowhere/at/all")
    assert faults(SpeechSettings) == []
    assert faults(AvatarSettings) == [f"{name}: cannot read what it names"]
    for needed in ("APP_ID", "SERVER_SECRET"):
        monkeypatch.delenv(needed)
    assert faults(AvatarSettings) == []


def test_all_that_is_odd_is_named_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY_FILE", str(tmp_path_factory.mktemp("no") / "where"))
    key = tmp_path_factory.mktemp("some") / "key"
    key.write_text("\ufeffsk-hush\nsk-other\n", encoding="utf-8")
    monkeypatch.setenv("SPEECH_CHAT_API_KEY_FILE", str(key))
    monkeypatch.setenv("SPEECH_CHAT_BASE_URL", "vendor.example")
    monkeypatch.setenv("SPEECH_PORT", "http")
    told = faults(SpeechSettings)
    assert {line.partition(":")[0] for line in told} == {
        "OPENAI_API_KEY_FILE",
        "SPEECH_CHAT_API_KEY_FILE",
        "SPEECH_CHAT_BASE_URL",
        "SPEECH_PORT",
    }
    assert "sk-" not in "\n".join(told)
