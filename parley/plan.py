"""What `parley up` runs: the processes, where they listen, and the environment they share."""

import secrets
import shlex
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from parley.processes import Command

ROOT = Path(__file__).resolve().parent.parent
PROCFILE = ROOT / "Procfile"

_SECRET_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """A port that a process listens on, and the settings that move it."""

    process: str
    variable: str
    default: int
    host_variable: str

    def port(self, environment: Mapping[str, str]) -> int:
        """The port under this environment; raises PlanError when it is no port."""
        text = environment.get(self.variable) or str(self.default)
        if not text.isdecimal() or not 0 < int(text) < 65536:
            raise PlanError(f"{self.variable} must be a port from 1 to 65535, not {text!r}")
        return int(text)

    def host(self, environment: Mapping[str, str]) -> str:
        """The address under this environment."""
        return environment.get(self.host_variable) or "127.0.0.1"


LISTENERS = (
    Listener(process="engine", variable="ENGINE_PORT", default=8090, host_variable="ENGINE_HOST"),
    Listener(
        process="engine", variable="ENGINE_DRIVE_PORT", default=8091, host_variable="ENGINE_HOST"
    ),
    Listener(process="avatar", variable="AVATAR_PORT", default=50053, host_variable="AVATAR_HOST"),
    Listener(process="task", variable="TASK_PORT", default=50051, host_variable="TASK_HOST"),
    Listener(process="speech", variable="SPEECH_PORT", default=50052, host_variable="SPEECH_HOST"),
    Listener(process="gateway", variable="PORT", default=8080, host_variable="GATEWAY_HOST"),
)
GRPC_PROCESSES = ("avatar", "task", "speech")


class PlanError(Exception):
    """Something must be mended before anything can start; the message says what."""


def complete(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment with the credentials that one run shares.

    Without APP_ID the engine stands in for the cloud, under credentials made for this run.
    """
    made = {"PARLEY_SERVICE_TOKEN": secrets.token_hex(_SECRET_BYTES)}
    if uses_engine(environment):
        port = listener("PORT").port(environment)
        callback_secret = secrets.token_hex(_SECRET_BYTES)
        made |= {
            "ENGINE_APP_ID": str(1 + secrets.randbelow(2**32 - 1)),
            "ENGINE_SERVER_SECRET": secrets.token_hex(_SECRET_BYTES),
            "ENGINE_CALLBACK_URL": f"http://127.0.0.1:{port}/api/callbacks/zego",
            "ENGINE_CALLBACK_SECRET": callback_secret,
            "CALLBACK_SECRET": callback_secret,
        }
    given = {name: value for name, value in environment.items() if value}
    wanted = {name: value for name, value in made.items() if f"{name}_FILE" not in given}
    return wanted | given


def uses_engine(environment: Mapping[str, str]) -> bool:
    """Whether the engine stands in for the cloud."""
    return not (environment.get("APP_ID") or environment.get("APP_ID_FILE"))


def listener(variable: str) -> Listener:
    """The listener that a port variable moves."""
    return next(each for each in LISTENERS if each.variable == variable)


def commands(environment: Mapping[str, str]) -> tuple[Command, ...]:
    """The Procfile's commands under an environment, in the order in which they are started."""
    found = []
    for line in PROCFILE.read_text(encoding="utf-8").splitlines():
        name, _, words = line.partition(":")
        if name == "engine" and not uses_engine(environment):
            continue
        # The interpreter that runs this, whatever PATH says.
        python, *arguments = shlex.split(words)
        assert python == "python"
        found.append(
            Command(name=name, words=(sys.executable, *arguments), environment=environment)
        )
    return tuple(found)


def listeners(environment: Mapping[str, str]) -> tuple[Listener, ...]:
    """The listeners of the processes that run under an environment."""
    return tuple(each for each in LISTENERS if each.process != "engine" or uses_engine(environment))


def is_free(host: str, port: int) -> bool:
    """Whether a process could listen there."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def require_free_ports(environment: Mapping[str, str]) -> None:
    """Raise PlanError that names every port that is taken and the setting that moves it."""
    taken = [
        f"port {each.port(environment)} for {each.process} is taken: "
        f"end what listens there, or set {each.variable} to another port"
        for each in listeners(environment)
        if not is_free(each.host(environment), each.port(environment))
    ]
    if taken:
        raise PlanError("\n".join(taken))
