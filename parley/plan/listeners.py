"""Where each process listens, and the settings that move it."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass

from parley.plan.errors import PlanError
from services.runtime.settings.values import check_host

LOOPBACK = "127.0.0.1"
_REPLICA_STEP = 100
"""How far apart the ports of a service's replicas are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """A port that a process listens on, and the settings that move it."""

    process: str
    variables: tuple[str, ...]
    """Settings of the port; the first that is set wins."""
    default: int
    host_variable: str

    def setting(self, environment: Mapping[str, str]) -> str:
        """The setting that decides about the port, or that would."""
        return next((name for name in self.variables if environment.get(name)), self.variables[-1])

    def port(self, environment: Mapping[str, str]) -> int:
        """The port in this environment; raises PlanError if it is not a port."""
        setting = self.setting(environment)
        text = environment.get(setting) or str(self.default)
        if not (text.isascii() and text.isdecimal()) or not 0 < int(text) < 65536:
            raise PlanError(f"{setting} must be a port from 1 to 65535, not {text!r}")
        return int(text)

    def host(self, environment: Mapping[str, str]) -> str:
        """What it listens on under this environment: an address, or a name; raises PlanError."""
        try:
            return check_host(environment.get(self.host_variable) or LOOPBACK)
        except ValueError as error:
            raise PlanError(f"{self.host_variable} {error}") from None

    def address(self, environment: Mapping[str, str]) -> str:
        """Return host:port, by which this machine reaches it."""
        return f"{reachable(self.host(environment))}:{self.port(environment)}"

    def url(self, environment: Mapping[str, str]) -> str:
        """Return the URL by which this machine reaches it, if it speaks HTTP."""
        return f"http://{self.address(environment)}"

    def replicated(self, environment: Mapping[str, str], number: int) -> dict[str, str]:
        """Return the environment of a replica, from 1; raises PlanError if it has no port."""
        port = self.port(environment) + number * _REPLICA_STEP
        return {**environment, self.variables[0]: str(port)}


def listener_of(process: str, default: int, *variables: str) -> Listener:
    return Listener(
        process=process,
        variables=variables,
        default=default,
        host_variable=f"{process.upper()}_HOST",
    )


ENGINE = listener_of("engine", 8090, "ENGINE_PORT")
ENGINE_DRIVE = listener_of("engine", 8091, "ENGINE_DRIVE_PORT")
AVATAR = listener_of("avatar", 50053, "AVATAR_PORT")
TASK = listener_of("task", 50051, "TASK_PORT")
SPEECH = listener_of("speech", 50052, "SPEECH_PORT")
GATEWAY = listener_of("gateway", 8080, "GATEWAY_PORT", "PORT")
LISTENERS = (ENGINE, ENGINE_DRIVE, AVATAR, TASK, SPEECH, GATEWAY)

# Who finds whom by which setting.
TARGETS = {
    "TASK_AVATAR_TARGET": AVATAR,
    "SPEECH_TASK_TARGET": TASK,
    "SPEECH_AVATAR_TARGET": AVATAR,
    "GATEWAY_TASK_TARGET": TASK,
    "GATEWAY_SPEECH_TARGET": SPEECH,
    "GATEWAY_AVATAR_TARGET": AVATAR,
}


def reachable(host: str) -> str:
    """Return how this machine reaches what listens on `host`, as a URL has it."""
    match host:
        case "0.0.0.0":
            return LOOPBACK
        case "::":
            return "[::1]"
        case _:
            return f"[{host}]" if ":" in host else host


def addresses(listener: Listener, environment: Mapping[str, str], replicas: int) -> list[str]:
    """Return where the replicas of a listener's service are reached."""
    if replicas == 1:
        return [listener.address(environment)]
    return [
        listener.address(listener.replicated(environment, number))
        for number in range(1, replicas + 1)
    ]


def is_free(host: str, port: int) -> bool:
    """Whether a process could listen there."""
    return obstacle(host, port) is None


def obstacle(host: str, port: int) -> OSError | None:
    """Return why nobody could listen there, if so."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error
    return None
