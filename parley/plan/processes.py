"""Which processes run, from the Procfile, with as many replicas as are wanted."""

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace

from parley.load_balancer import NOTICED_S
from parley.plan.environment import uses_engine
from parley.plan.listeners import (
    GATEWAY,
    LISTENERS,
    TARGETS,
    Listener,
    addresses,
    listener_of,
)
from parley.plan.paths import PROCFILE
from parley.processes.running import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class Process(Command):
    """A command that serves, and where it listens in its environment."""

    listeners: tuple[Listener, ...]
    is_replica: bool = False
    """Whether others like it serve while it does not."""


def processes(environment: Mapping[str, str], *, replicas: int = 1) -> tuple[Process, ...]:
    """Return what runs in a complete environment, in the order of the Procfile, which starts them.

    Of several replicas, each gets ports of its own, and a load balancer stands at the gateway's.
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
            found.append(_load_balancer(environment, replicas))
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
        metrics = listener_of(process.name, 0, f"{prefix}_METRICS_PORT")
        if environment.get(metrics.setting(environment), "0") != "0":
            environment = metrics.replicated(environment, number)
    return replace(
        process, name=f"{process.name}-{number}", environment=environment, is_replica=True
    )


def _load_balancer(environment: Mapping[str, str], replicas: int) -> Process:
    host = GATEWAY.host(environment)
    own = f"[{host}]" if ":" in host else host
    words = (
        *(sys.executable, "-m", "parley.load_balancer", f"{own}:{GATEWAY.port(environment)}"),
        *addresses(GATEWAY, environment, replicas),
    )
    return Process(name="front", words=words, environment=environment, listeners=(GATEWAY,))


def listeners(environment: Mapping[str, str]) -> tuple[Listener, ...]:
    """The listeners of the processes that run in an environment."""
    return tuple(each for each in LISTENERS if each.process != "engine" or uses_engine(environment))
