"""By which address others reach a server."""

import socket

import pytest

from services.runtime.serving.advertising import advertised_address
from services.runtime.settings.environment import SettingsError


def advertised(host: str, given: str | None = None) -> str:
    return advertised_address(given, host=host, port=50052, prefix="SPEECH")


@pytest.fixture
def own_address(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the machine's own name stands for, the last entry counting."""
    known = [""]

    def find(name: str) -> str:
        if not known[-1]:
            raise OSError("no such name")
        return known[-1]

    monkeypatch.setattr(socket, "gethostbyname", find)
    return known


def test_what_is_given_counts() -> None:
    assert advertised("0.0.0.0", "speech-1:50052") == "speech-1:50052"
    assert advertised("127.0.0.1", "speech-1:50052") == "speech-1:50052"


def test_else_it_is_where_the_server_listens() -> None:
    assert advertised("127.0.0.1") == "127.0.0.1:50052"
    assert advertised("speech.local") == "speech.local:50052"
    assert advertised("fd00::1") == "[fd00::1]:50052"


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_all_addresses_stand_for_the_machines_own(host: str, own_address: list[str]) -> None:
    own_address.append("10.0.0.7")
    assert advertised(host) == "10.0.0.7:50052"


@pytest.mark.parametrize("own", ["127.0.1.1", ""])
def test_what_others_cannot_reach_is_refused(own: str, own_address: list[str]) -> None:
    own_address.append(own)
    with pytest.raises(SettingsError, match=r"^SPEECH_ADVERTISED_ADDRESS: .*SPEECH_HOST is 0"):
        advertised("0.0.0.0")
