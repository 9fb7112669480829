"""What `parley up` runs: the processes, where they listen, and the environment they share."""

import secrets
import shlex
import socket
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from parley.front import NOTICED_S
from parley.processes import Command
from services.runtime.settings.values import check_host

ROOT = Path(__file__).resolve().parent.parent
PROCFILE = ROOT / "Procfile"
VAR = ROOT / "var"
"""What runs of this checkout leave behind and share."""

LOOPBACK = "127.0.0.1"
FILE_SUFFIX = "_FILE"
CALLBACK_SECRETS = ("CALLBACK_SECRET", "ENGINE_CALLBACK_SECRET")
_BOOL = TypeAdapter(bool)
"""Reads a setting as the processes do."""
_SECRET_BYTES = 16
_REPLICA_STEP = 100
"""How far apart the ports of a service's replicas are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """A port that a process listens on, and the settings that move it."""

    process: str
    variables: tuple[str, ...]
    """Settings of the port; the first that is set wins, and messages name the last."""
    default: int
    host_variable: str

    @property
    def variable(self) -> str:
        """The setting that messages name."""
        return self.variables[-1]

    def port(self, environment: Mapping[str, str]) -> int:
        """The port in this environment; raises PlanError if it is not a port."""
        found = (environment[name] for name in self.variables if environment.get(name))
        text = next(found, str(self.default))
        if not (text.isascii() and text.isdecimal()) or not 0 < int(text) < 65536:
            raise PlanError(f"{self.variable} must be a port from 1 to 65535, not {text!r}")
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

    def replicated(self, environment: Mapping[str, str], number: int) -> dict[str, str]:
        """Return the environment of a replica, from 1; raises PlanError if it has no port."""
        port = self.port(environment) + number * _REPLICA_STEP
        return {**environment, self.variables[0]: str(port)}


def _listener(process: str, default: int, *variables: str) -> Listener:
    return Listener(
        process=process,
        variables=variables,
        default=default,
        host_variable=f"{process.upper()}_HOST",
    )


ENGINE = _listener("engine", 8090, "ENGINE_PORT")
ENGINE_DRIVE = _listener("engine", 8091, "ENGINE_DRIVE_PORT")
AVATAR = _listener("avatar", 50053, "AVATAR_PORT")
TASK = _listener("task", 50051, "TASK_PORT")
SPEECH = _listener("speech", 50052, "SPEECH_PORT")
GATEWAY = _listener("gateway", 8080, "GATEWAY_PORT", "PORT")
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


class PlanError(Exception):
    """Something must be fixed before anything can start; the message says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Process(Command):
    """A command that serves, and where it listens in its environment."""

    listeners: tuple[Listener, ...]
    is_replica: bool = False
    """Whether others like it serve while it does not."""


def complete(environment: Mapping[str, str], *, folder: Path, replicas: int = 1) -> dict[str, str]:
    """Return the environment with the addresses and credentials that one run shares.

    Without APP_ID the engine stands in for the cloud, with credentials generated for this run. It
    puts its certificate into the `folder`, under a name that is unique on this machine, and so do
    the processes that remember signatures.
    """
    made = {"PARLEY_SERVICE_TOKEN": secrets.token_hex(_SECRET_BYTES)}
    made |= {
        name: ",".join(addresses(each, environment, replicas)) for name, each in TARGETS.items()
    }
    if _asks_for_credentials(environment):
        # Of who started it all, and stops it: without a key of its own that could not be done.
        made["GATEWAY_API_KEYS"] = secrets.token_hex(_SECRET_BYTES)
    made["AVATAR_SIGNATURES"] = str(folder / f"avatar-{AVATAR.port(environment)}.sqlite3")
    if uses_engine(environment):
        own = folder / f"engine-{ENGINE_DRIVE.port(environment)}.pem"
        certificate = environment.get("ENGINE_DRIVE_CERTIFICATE") or str(own)
        made |= {
            "AVATAR_ENGINE_URL": f"http://{ENGINE.address(environment)}",
            "ENGINE_PUBLIC_HOST": reachable(ENGINE.host(environment)).strip("[]"),
            "AVATAR_ENGINE_CERTIFICATE": certificate,
            "ENGINE_DRIVE_CERTIFICATE": certificate,
            "ENGINE_SIGNATURES": str(folder / f"engine-{ENGINE.port(environment)}.sqlite3"),
            "ENGINE_APP_ID": str(1 + secrets.randbelow(2**32 - 1)),
            "ENGINE_SERVER_SECRET": secrets.token_hex(_SECRET_BYTES),
            "ENGINE_CALLBACK_URL": f"http://{GATEWAY.address(environment)}/api/callbacks/zego",
            **_callback_secrets(environment),
            "ENGINE_VOICE_URL": f"http://{GATEWAY.address(environment)}/api/v1",
        }
        if keys := environment.get("GATEWAY_API_KEYS") or made.get("GATEWAY_API_KEYS"):
            made["ENGINE_VOICE_KEY"] = keys.partition(",")[0].strip()
    given = {name: value for name, value in environment.items() if value}
    wanted = {name: value for name, value in made.items() if not _is_given(name, given)}
    return wanted | given


def _asks_for_credentials(environment: Mapping[str, str]) -> bool:
    """Whether the gateway lets nobody in without credentials, of which it need not hold any."""
    try:
        is_required = _BOOL.validate_python(environment.get("GATEWAY_REQUIRE_CREDENTIALS") or False)
    except ValidationError:
        # The gateway says itself what is wrong with it.
        is_required = False
    return is_required or bool(environment.get("GATEWAY_JWKS"))


def _callback_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """The secrets that sign and verify the engine's callbacks: given for either, or generated."""
    for suffix in ("", FILE_SUFFIX):
        for name in CALLBACK_SECRETS:
            if value := environment.get(f"{name}{suffix}"):
                return {f"{each}{suffix}": value for each in CALLBACK_SECRETS}
    return dict.fromkeys(CALLBACK_SECRETS, secrets.token_hex(_SECRET_BYTES))


def _is_given(name: str, environment: Mapping[str, str]) -> bool:
    own_name = name.removesuffix(FILE_SUFFIX)
    return any(environment.get(each) for each in (own_name, f"{own_name}{FILE_SUFFIX}"))


def uses_engine(environment: Mapping[str, str]) -> bool:
    """Whether the engine stands in for the cloud."""
    return not (environment.get("APP_ID") or environment.get("APP_ID_FILE"))


def addresses(listener: Listener, environment: Mapping[str, str], replicas: int) -> list[str]:
    """Return where the replicas of a listener's service are reached."""
    if replicas == 1:
        return [listener.address(environment)]
    return [
        listener.address(listener.replicated(environment, number))
        for number in range(1, replicas + 1)
    ]


def processes(environment: Mapping[str, str], *, replicas: int = 1) -> tuple[Process, ...]:
    """Return what runs in a complete environment, in the order of the Procfile, which starts them.

    Of several replicas, each gets ports of its own, and a front stands at the gateway's.
    """
    found: list[Process] = []
    for line in PROCFILE.read_text(encoding="utf-8").splitlines():
        name, _, words = line.partition(":")
        if name == "engine" and not uses_engine(environment):
            continue
        # The interpreter that runs this, regardless of PATH.
        python, *arguments = shlex.split(words)
        assert python == "python"
        process = Process(
            name=name,
            words=(sys.executable, *arguments),
            environment=environment,
            listeners=tuple(each for each in LISTENERS if each.process == name),
        )
        if name == "engine" or replicas == 1:
            found.append(process)
            continue
        if name == GATEWAY.process:
            found.append(_front(environment, replicas))
        found += (_replica(process, number) for number in range(1, replicas + 1))
    return tuple(found)


def _replica(process: Process, number: int) -> Process:
    [listener] = process.listeners
    environment = listener.replicated(process.environment, number)
    if listener is GATEWAY:
        environment = {"GATEWAY_NOTICE_S": f"{NOTICED_S:g}", **environment}
    if listener in TARGETS.values():
        prefix = process.name.upper()
        environment[f"{prefix}_ADVERTISED_ADDRESS"] = listener.address(environment)
        metrics = _listener(process.name, 0, f"{prefix}_METRICS_PORT")
        if environment.get(metrics.variable, "0") != "0":
            environment = metrics.replicated(environment, number)
    return replace(
        process, name=f"{process.name}-{number}", environment=environment, is_replica=True
    )


def _front(environment: Mapping[str, str], replicas: int) -> Process:
    host = GATEWAY.host(environment)
    own = f"[{host}]" if ":" in host else host
    words = (
        *(sys.executable, "-m", "parley.front", f"{own}:{GATEWAY.port(environment)}"),
        *addresses(GATEWAY, environment, replicas),
    )
    return Process(name="front", words=words, environment=environment, listeners=(GATEWAY,))


def listeners(environment: Mapping[str, str]) -> tuple[Listener, ...]:
    """The listeners of the processes that run in an environment."""
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


def require_free_ports(planned: Iterable[Process]) -> None:
    """Raise PlanError naming every port that is taken and the setting that moves it."""
    taken = [
        f"port {each.port(process.environment)} for {process.name} is taken: "
        f"stop what listens there, or set {each.variable} to another port"
        for process in planned
        for each in process.listeners
        if not is_free(each.host(process.environment), each.port(process.environment))
    ]
    if taken:
        raise PlanError("\n".join(taken))
