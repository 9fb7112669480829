"""The settings name what is wrong with them, and switch between the cloud and the engine."""

import pytest

from services.avatar.settings import AvatarSettings
from services.avatar.vendor.token import Mode
from services.runtime.settings.environment import SettingsError, load

SECRET = "0123456789abcdef0123456789abcdef"
CLOUD = {"APP_ID": "42", "SERVER_SECRET": SECRET}
ENGINE = {"ENGINE_APP_ID": "43", "ENGINE_SERVER_SECRET": SECRET[::-1]}

SHARED = {"AVATAR_DATABASE": "postgresql://me:hush@db.example/avatars"}
MESH = {"PARLEY_PLAIN_NETWORK": "true", "PARLEY_SERVICE_TOKEN": SECRET}


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("APP_ID", "SERVER_SECRET", *ENGINE, "AVATAR_CLOUD_URL", "DIGITAL_HUMAN_ID"):
        monkeypatch.delenv(name, raising=False)


def read(monkeypatch: pytest.MonkeyPatch, **environment: str) -> AvatarSettings:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return load(AvatarSettings)


def test_with_an_account_it_is_the_cloud(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch, **CLOUD, **ENGINE)
    assert settings.credentials.app_id == 42
    assert settings.credentials.server_secret == SECRET
    assert settings.resolved_cloud_url == "https://aigc-digitalhuman-api.zegotech.cn"
    assert settings.whep_url is None
    assert SECRET not in repr(settings)


def test_without_an_account_it_is_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch, APP_ID="", **ENGINE)
    assert settings.credentials.app_id == 43
    assert settings.resolved_cloud_url == "http://127.0.0.1:8090"
    assert settings.whep_url == "http://127.0.0.1:8090/whep"


def test_viewers_tokens_are_of_the_cipher_that_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(monkeypatch, **CLOUD).token_mode is Mode.CBC
    assert read(monkeypatch, **CLOUD, AVATAR_TOKEN_MODE="gcm").token_mode is Mode.GCM


def test_viewers_may_reach_the_engine_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(
        monkeypatch,
        **ENGINE,
        AVATAR_CLOUD_URL="http://engine:8090/",
        AVATAR_CLOUD_PUBLIC_URL="https://watch.example/",
    )
    assert settings.resolved_cloud_url == "http://engine:8090"
    assert settings.whep_url == "https://watch.example/whep"


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({}, "ENGINE_APP_ID"),
        ({"APP_ID": "42"}, "SERVER_SECRET"),
        ({**CLOUD, "APP_ID": "0"}, "APP_ID"),
        ({**CLOUD, "APP_ID": "4294967296"}, "APP_ID"),
        ({**CLOUD, "SERVER_SECRET": "short"}, "SERVER_SECRET"),
        ({**CLOUD, "TOKEN_EXPIRE_SECONDS": "3601"}, "TOKEN_EXPIRE_SECONDS"),
        ({**CLOUD, "AVATAR_CLOUD_URL": "http://cloud.example"}, "AVATAR_CLOUD_URL"),
        ({**CLOUD, "AVATAR_PORT": "70000"}, "AVATAR_PORT"),
        ({**CLOUD, "AVATAR_DRIVE_FINGERPRINTS": "abc"}, "AVATAR_DRIVE_FINGERPRINTS"),
        ({**CLOUD, "AVATAR_DRIVE_VERIFICATION": "maybe"}, "AVATAR_DRIVE_VERIFICATION"),
        ({**CLOUD, "AVATAR_DATABASE": "var/avatars.sqlite3"}, "AVATAR_DATABASE"),
        ({**CLOUD, **SHARED, **MESH, "AVATAR_HOST": "0.0.0.0"}, "AVATAR_ADVERTISED_ADDRESS"),
        ({**CLOUD, **SHARED, "AVATAR_PORT": "0"}, "AVATAR_ADVERTISED_ADDRESS"),
    ],
)
def test_what_is_wrong_is_named(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], named: str
) -> None:
    with pytest.raises(SettingsError, match=named) as caught:
        read(monkeypatch, **environment)
    assert SECRET not in str(caught.value)
    assert "hush" not in str(caught.value)


def test_other_replicas_find_this_one_where_it_listens_or_where_it_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = read(monkeypatch, **CLOUD, **SHARED, AVATAR_HOST="::1")
    assert settings.resolved_address == "[::1]:50053"
    settings = read(
        monkeypatch, **MESH, AVATAR_HOST="0.0.0.0", AVATAR_ADVERTISED_ADDRESS="pod-1.avatar:9"
    )
    assert settings.resolved_address == "pod-1.avatar:9"


def test_fingerprints_may_be_written_with_colons(monkeypatch: pytest.MonkeyPatch) -> None:
    written = ":".join(["AB"] * 32)
    settings = read(monkeypatch, **CLOUD, AVATAR_DRIVE_FINGERPRINTS=f"{written}, {'cd' * 32}")
    assert settings.fingerprints == {"ab" * 32, "cd" * 32}
