"""docker-compose.yml as local processes: its very commands and environment, on free ports here."""

import random
import re
import shlex
import socket
import sys
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
LOOPBACK = "127.0.0.1"
# Linux and others give connections the ports above: one of those would soon be taken again.
UNASSIGNED_PORTS = range(10_000, 32_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A container's command as a process of this machine; `probe` is its health check's target."""

    name: str
    words: tuple[str, ...]
    environment: Mapping[str, str]
    probe: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Composition:
    """The long-running services, in an order in which each follows what it depends on."""

    services: tuple[Service, ...]
    ports: Mapping[str, str]
    """Local port by the name of the setting that holds it."""


def required_variables() -> set[str]:
    """The variables that the file asks an operator for."""
    return set(re.findall(r"\$\{(\w+):\?", COMPOSE.read_text(encoding="utf-8")))


def localized(variables: Mapping[str, str], folders: Mapping[str, Path]) -> Composition:
    """Return the services with names, ports and volumes of this machine.

    `variables` are what the file's `${…}` take, `folders` stand for its named volumes.
    """
    text = COMPOSE.read_text(encoding="utf-8")
    services = {
        name: _interpolated(service, variables)
        for name, service in yaml.safe_load(text)["services"].items()
        if service["restart"] != "no"
    }
    settings = {
        (name, variable): port
        for name, service in services.items()
        for variable, port in service["environment"].items()
        if variable.endswith("_PORT")
    }
    free = dict(zip(settings, free_ports(len(settings)), strict=True))
    ports = {(name, settings[name, variable]): port for (name, variable), port in free.items()}
    return Composition(
        services=tuple(
            _service(name, service, ports, folders) for name, service in services.items()
        ),
        ports={variable: port for (_, variable), port in free.items()},
    )


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


def _service(
    name: str,
    service: Mapping[str, Any],
    ports: Mapping[tuple[str, str], str],
    folders: Mapping[str, Path],
) -> Service:
    mounts = dict(each.split(":")[::-1] for each in service.get("volumes", ()))
    own = {inside: local for (owner, inside), local in ports.items() if owner == name}
    peers = {owner for owner, _ in ports}

    def local(value: str) -> str:
        if value in peers or value == "0.0.0.0":
            return LOOPBACK
        for mount, volume in mounts.items():
            if value == mount or value.startswith(f"{mount}/"):
                return str(folders[volume]) + value.removeprefix(mount)
        return re.sub(r"([\w.]+):(\d+)", _address, value)

    def _address(found: re.Match[str]) -> str:
        host, port = found.groups()
        if host == LOOPBACK:
            # A published port: whoever has it inside has it outside.
            return f"{LOOPBACK}:{next(to for (_, at), to in ports.items() if at == port)}"
        return f"{LOOPBACK}:{ports[host, port]}"

    environment = {
        variable: own[value] if variable.endswith("_PORT") else local(value)
        for variable, value in service["environment"].items()
    }
    python, *arguments = shlex.split(service["command"])
    assert python == "python"
    return Service(
        name=name,
        words=(sys.executable, *arguments),
        environment=environment,
        probe=local(service["healthcheck"]["test"][-1]),
    )
