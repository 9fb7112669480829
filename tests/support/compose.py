"""docker-compose.yml as local processes: its very commands, settings, names and ports.

Each container is an address of this machine's loopback network, which has sixteen million of them;
the names of the file are found in the hosts file that the processes see.
"""

import random
import re
import shlex
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import yaml

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
LOOPBACK = "127.0.0.1"
# Linux and others give connections the ports above: one of those would soon be taken again.
UNASSIGNED_PORTS = range(10_000, 32_000)
ENV_FILE = ".env"
UNITS = {"k": 2**10, "m": 2**20, "g": 2**30}


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A container's command as a process of this machine; `probe` is its health check's target."""

    name: str
    words: tuple[str, ...]
    environment: Mapping[str, str]
    probe: str

    def having(self, environment: Mapping[str, str]) -> Self:
        """Return the service with more in its environment."""
        return replace(self, environment={**self.environment, **environment})


@dataclass(frozen=True, slots=True, kw_only=True)
class Composition:
    """The processes of Parley, in an order in which each follows what it depends on."""

    services: tuple[Service, ...]
    hosts: Mapping[str, str]
    """Address by the name of the service."""
    ports: Mapping[str, str]
    """Port by the name of the setting that holds it."""


def all_services() -> dict[str, Any]:
    """The file's services, as it has them."""
    services: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
    return services


def process_services() -> dict[str, Any]:
    """Those that are processes of Parley, as the file has them."""
    return {
        name: each
        for name, each in all_services().items()
        if each["command"].startswith("python -m ")
    }


def issued_folders(certificates: Path) -> dict[str, Path]:
    """Return which folder stands for which volume, where `parley certificates` wrote into one."""
    mounts = (each.split(":") for each in all_services()["certificates"]["volumes"])
    return {volume: certificates / mount.strip("/").partition("/")[2] for volume, mount in mounts}


def required_variables() -> set[str]:
    """The variables that the file asks an operator for."""
    return set(re.findall(r"\$\{(\w+):\?", COMPOSE.read_text(encoding="utf-8")))


def localized(variables: Mapping[str, str], folders: Mapping[str, Path]) -> Composition:
    """Return the services with the addresses and volumes of this machine.

    `variables` are what stands in `.env`, `folders` stand for the file's named volumes.
    """
    services = {
        name: _interpolated(service, variables) for name, service in process_services().items()
    }
    # Several compositions may run at once.
    network = f"127.{random.randint(1, 254)}.{random.randint(0, 255)}"
    hosts = {name: f"{network}.{index}" for index, name in enumerate(services, start=1)}
    return Composition(
        services=tuple(
            _service(name, service, variables, hosts, _published(services, hosts), folders)
            for name, service in services.items()
        ),
        hosts=hosts,
        ports={
            variable: value
            for service in services.values()
            for variable, value in service["environment"].items()
            if variable.endswith("_PORT")
        },
    )


def bytes_of(size: str) -> int:
    """Return how many bytes a size stands for, or its default if a variable may set it."""
    found = re.fullmatch(r"(?:\$\{\w+:-)?(\d+)([kmg])}?", size)
    assert found, size
    return int(found[1]) * UNITS[found[2]]


def free_ports(count: int) -> list[str]:
    """Return ports that nobody listens on now, and that the system gives to no connection."""
    free: list[str] = []
    with ExitStack() as stack:
        for port in random.sample(UNASSIGNED_PORTS, len(UNASSIGNED_PORTS)):
            each = stack.enter_context(socket.socket())
            with suppress(OSError):
                each.bind((LOOPBACK, port))
                free.append(str(port))
            if len(free) == count:
                return free
    raise AssertionError(f"there are only {len(free)} free ports")


def _interpolated(part: Any, variables: Mapping[str, str]) -> Any:
    def value(found: re.Match[str]) -> str:
        given = variables.get(found["name"])
        if given:
            return given
        assert found["operator"] == ":-", f"{found['name']} is not given: {found['text']}"
        return found["text"]

    match part:
        case str():
            return re.sub(r"\$\{(?P<name>\w+)(?P<operator>:[-?])(?P<text>[^}]*)\}", value, part)
        case list():
            return [_interpolated(each, variables) for each in part]
        case dict():
            return {name: _interpolated(each, variables) for name, each in part.items()}
        case _:
            return part


def _published(services: Mapping[str, Any], hosts: Mapping[str, str]) -> dict[str, str]:
    """Where the containers are that this machine reaches at its own address and a port."""
    found = {}
    for name, service in services.items():
        for each in service.get("ports", ()):
            address, outside, inside = each.split(":")
            found[f"{address}:{outside}"] = f"{hosts[name]}:{inside}"
    return found


def _service(
    name: str,
    service: Mapping[str, Any],
    variables: Mapping[str, str],
    hosts: Mapping[str, str],
    published: Mapping[str, str],
    folders: Mapping[str, Path],
) -> Service:
    python, *arguments = shlex.split(service["command"])
    assert python == "python"
    from_file = variables if _reads_env_file(service["env_file"]) else {}
    own = {
        variable: _localized(value, service, hosts[name], published, folders)
        for variable, value in service["environment"].items()
    }
    return Service(
        name=name,
        words=(sys.executable, *arguments),
        environment={**from_file, **own},
        probe=service["healthcheck"]["test"][-1].replace(LOOPBACK, hosts[name]),
    )


def _reads_env_file(files: Sequence[Mapping[str, Any]]) -> bool:
    return any(each["path"] == ENV_FILE for each in files)


def _localized(
    value: str,
    service: Mapping[str, Any],
    address: str,
    published: Mapping[str, str],
    folders: Mapping[str, Path],
) -> str:
    if value == "0.0.0.0":
        return address
    for each in service.get("volumes", ()):
        volume, mount = each.split(":")[:2]
        if value == mount or value.startswith(f"{mount}/"):
            return str(folders[volume]) + value.removeprefix(mount)
    for outside, inside in published.items():
        value = value.replace(outside, inside)
    return value
