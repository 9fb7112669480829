"""Whether the processes of a plan can listen where they are to."""

import errno
import socket
from collections.abc import Iterable, Iterator

from parley.plan.errors import PlanError
from parley.plan.listeners import Listener, obstacle
from parley.plan.processes import Process


def require_free_ports(planned: Iterable[Process]) -> None:
    """Raise PlanError naming every port that cannot be used, and the setting that moves it."""
    users = [(process, each) for process in planned for each in process.listeners]
    faults = [fault for process, each in users if (fault := _fault(process, each))]
    if faults := faults or list(_shared(users)):
        raise PlanError("\n".join(faults))


def _fault(process: Process, listener: Listener) -> str | None:
    host, port = listener.host(process.environment), listener.port(process.environment)
    setting = listener.setting(process.environment)
    match obstacle(host, port):
        case None:
            return None
        case OSError(errno=errno.EACCES):
            return (
                f"port {port} for {process.name} is for administrators only: "
                f"set {setting} to one from 1024 on"
            )
        case OSError(errno=errno.EADDRNOTAVAIL) | socket.gaierror():
            return f"{listener.host_variable} must be an address of this machine, not {host}"
        case _:
            return (
                f"port {port} for {process.name} is taken: "
                f"stop what listens there, or set {setting} to another port"
            )


def _shared(users: Iterable[tuple[Process, Listener]]) -> Iterator[str]:
    """Yield the ports that several are to listen on."""
    earlier: list[tuple[str, int, str]] = []
    for process, listener in users:
        host, port = listener.host(process.environment), listener.port(process.environment)
        for other_host, other_port, name in earlier:
            if port == other_port and _overlap(host, other_host):
                setting = listener.setting(process.environment)
                yield (
                    f"port {port} is for {name} as well as for {process.name}: "
                    f"set {setting} to another port"
                )
                break
        earlier.append((host, port, process.name))


def _overlap(*hosts: str) -> bool:
    """Whether there is an address that both stand for; each is known to be one of this machine."""
    one, other = (host if ":" in host else socket.gethostbyname(host) for host in hosts)
    return one == other or not {"0.0.0.0", "::"}.isdisjoint((one, other))
