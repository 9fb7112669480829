"""Which addresses a stranger may have a service connect to, and that the checked one is used."""

import asyncio
import ipaddress
import socket
from typing import Any

import httpcore
import pytest

from services.runtime.network.public_network import PrivateAddress, PublicNetwork

PRIVATE = [
    "127.0.0.1",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "192.0.2.1",
    "::",
    "::1",
    "::ffff:10.0.0.1",
    "::7f00:1",
    "fe80::1",
    "fd00::1",
    "ff02::1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2001:0:7f00:1::",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not_public_is_refused(address: str) -> None:
    assert not PublicNetwork().is_allowed(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1"])
def test_what_is_public_is_allowed(address: str) -> None:
    assert PublicNetwork().is_allowed(ipaddress.ip_address(address))


def test_a_network_that_is_named_is_allowed() -> None:
    network = PublicNetwork([ipaddress.ip_network("10.0.0.0/8")])
    assert network.is_allowed(ipaddress.ip_address("10.1.2.3"))
    assert network.is_allowed(ipaddress.ip_address("::ffff:10.1.2.3"))
    assert not network.is_allowed(ipaddress.ip_address("192.168.0.1"))


def answer_with(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Have names resolve to these addresses, one list per question; return who was asked for."""
    asked: list[str] = []

    async def resolve(host: str, port: int, **_: Any) -> Any:
        addresses = answers[min(len(asked), len(answers) - 1)]
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in addresses]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve, raising=False)
    return asked


async def test_one_private_address_among_public_ones_is_enough_to_refuse(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer_with(monkeypatch, ["1.1.1.1", "127.0.0.1"])
    with pytest.raises(PrivateAddress):
        await PublicNetwork().connect_tcp("mixed.example", 80)


async def test_a_name_is_asked_for_once_and_its_checked_address_is_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connected: list[str] = []

    async def connect(_: Any, host: str, *__: Any) -> Any:
        connected.append(host)

    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", connect)
    asked = answer_with(monkeypatch, ["1.1.1.1"], ["127.0.0.1"])
    await PublicNetwork().connect_tcp("rebound.example", 80)
    assert asked == ["rebound.example"]
    assert connected == ["1.1.1.1"]


async def test_an_address_that_does_not_answer_is_followed_by_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[str] = []

    async def connect(_: Any, host: str, *__: Any) -> Any:
        tried.append(host)
        if host == "1.1.1.1":
            raise httpcore.ConnectError("nobody there")

    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", connect)
    answer_with(monkeypatch, ["1.1.1.1", "1.0.0.1"])
    await PublicNetwork().connect_tcp("half.example", 80)
    assert tried == ["1.1.1.1", "1.0.0.1"]
