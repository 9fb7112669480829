"""What must be set before a service may be reached, and which secrets are too short for it."""

from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.runtime.links import ServiceSettings
from services.runtime.security.identities import Identity
from services.runtime.settings.environment import SettingsError, load
from services.runtime.settings.values import Port
from tests.support.authority import Authority, replace

TOKEN = "0123456789abcdef"
FILES = ("CERTIFICATE", "KEY", "AUTHORITIES")


class Sample(ServiceSettings):
    """A service."""

    model_config = SettingsConfigDict(env_prefix="SAMPLE_")
    identity: ClassVar = Identity.TASK

    port: Port = Field(1, description="port to listen on")


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PARLEY_SERVICE_TOKEN", "PARLEY_PLAIN_NETWORK"):
        monkeypatch.delenv(name, raising=False)


def read(monkeypatch: pytest.MonkeyPatch, **environment: str) -> Sample:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return load(Sample)


@pytest.fixture
def certified(tmp_path: Path) -> dict[str, str]:
    """The environment of a service with TLS."""
    files = Authority(tmp_path).issue(Identity.TASK.dns_name)
    return {f"SAMPLE_TLS_{part.upper()}_FILE": str(path) for part, path in files}


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "localhost"])
def test_loopback_needs_nothing(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    options = read(monkeypatch, SAMPLE_HOST=host).serving_options
    assert (options.tls, options.service_token, options.host) == (None, None, host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "task.example"])
def test_another_address_needs_tls_or_a_network_that_protects(
    monkeypatch: pytest.MonkeyPatch, certified: dict[str, str], host: str
) -> None:
    monkeypatch.setenv("SAMPLE_HOST", host)
    with pytest.raises(SettingsError, match=r"(?s)SAMPLE_HOST.*SAMPLE_TLS_.*PARLEY_PLAIN_NETWORK"):
        read(monkeypatch, PARLEY_SERVICE_TOKEN=TOKEN)
    read(monkeypatch, PARLEY_PLAIN_NETWORK="true")
    monkeypatch.delenv("PARLEY_SERVICE_TOKEN")
    with pytest.raises(SettingsError, match="PARLEY_SERVICE_TOKEN must be set"):
        read(monkeypatch)
    monkeypatch.delenv("PARLEY_PLAIN_NETWORK")
    assert read(monkeypatch, **certified).serving_options.tls is not None


def test_the_first_token_is_sent_and_all_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch, PARLEY_SERVICE_TOKEN=f"{TOKEN}, {TOKEN[::-1]}")
    assert settings.service_tokens == (TOKEN, TOKEN[::-1])
    assert settings.sent_token == settings.serving_options.service_token == TOKEN
    assert TOKEN not in repr(settings)


@pytest.mark.parametrize("tokens", [TOKEN[1:], f"{TOKEN},short"])
def test_a_short_token_is_named(monkeypatch: pytest.MonkeyPatch, tokens: str) -> None:
    with pytest.raises(SettingsError, match="PARLEY_SERVICE_TOKEN: must be at least 16") as caught:
        read(monkeypatch, PARLEY_SERVICE_TOKEN=tokens)
    assert tokens not in str(caught.value)


@pytest.mark.parametrize("missing", FILES)
def test_the_files_of_tls_come_together(
    monkeypatch: pytest.MonkeyPatch, certified: dict[str, str], missing: str
) -> None:
    del certified[f"SAMPLE_TLS_{missing}_FILE"]
    with pytest.raises(SettingsError, match=f"^SAMPLE_TLS_{missing}_FILE must be set with SAMPLE_"):
        read(monkeypatch, **certified)


@pytest.mark.parametrize("wrong", FILES)
def test_a_file_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, certified: dict[str, str], wrong: str
) -> None:
    name = f"SAMPLE_TLS_{wrong}_FILE"
    replace(Path(certified[name]), b"nothing")
    with pytest.raises(SettingsError, match=f"^{name} must hold"):
        read(monkeypatch, **certified)
    Path(certified[name]).unlink()
    with pytest.raises(SettingsError, match=f"^{name} cannot be read"):
        read(monkeypatch)
