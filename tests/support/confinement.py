"""Processes whose every attempt to leave this machine is seen and refused, native code included.

A name server is not this machine, wherever it listens: to look up a name is an attempt.
"""

import errno
import fcntl
import ipaddress
import os
import select
import socket
import struct
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from tests.support import confine
from tests.support.confine import CALLS

HOSTS = b"/etc/hosts\0"
DNS_PORT = 53
# Daemons that look up names for others. Without them the C library asks the name server itself.
RESOLVERS = (b"/run/nscd/", b"/var/run/nscd/", b"/run/systemd/resolve/")
# WebRTC tries all of a viewer's: what is sent to our own does not leave.
OWN_ADDRESSES = {
    ipaddress.ip_address(each.address.partition("%")[0])
    for addresses in psutil.net_if_addrs().values()
    for each in addresses
    if each.family in (socket.AF_INET, socket.AF_INET6)
}
REACHING_OUT = (CALLS.connect, CALLS.sendmsg, CALLS.sendmmsg)
"""To open a file is asked about only where one takes the place of another: a process opens a
thousand files before it does anything."""
MAX_ADDRESS_BYTES = 128
MAX_MESSAGES = 1024

# linux/seccomp.h: what is asked about, how it is answered, and a file as an answer.
_RECEIVE, _ANSWER, _GIVE_FILE = 0xC0502100, 0xC0182101, 0x40182103
_NOTICE, _REPLY, _FILE = struct.Struct("=QIIiIQ6Q"), struct.Struct("=QqiI"), struct.Struct("=QIIII")
_GO_ON, _FILE_IS_ANSWER = 1, 2
_MESSAGE = struct.Struct("PI")
_MESSAGE_STEP = 8 * struct.calcsize("P")


@dataclass(kw_only=True)
class Confinement:
    """Where commands are confined; `attempts` says who tried to reach what, in that order."""

    door: Path
    hosts: Path | None
    attempts: list[str] = field(default_factory=list)

    def words(self, command: Sequence[str]) -> tuple[str, ...]:
        """Return the command that runs this one confined."""
        asked = (*REACHING_OUT, CALLS.openat) if self.hosts else REACHING_OUT
        calls = ",".join(map(str, asked))
        return (sys.executable, "-I", "-S", confine.__file__, str(self.door), calls, *command)

    def judge(self, listener: int) -> None:
        """Let the system call that a listener tells of go on, or refuse it."""
        notice = bytearray(_NOTICE.size)
        fcntl.ioctl(listener, _RECEIVE, notice)
        key, pid, _, number, _, _, *arguments = _NOTICE.unpack(notice)
        if number == CALLS.openat and self.hosts and _read(pid, arguments[1], len(HOSTS)) == HOSTS:
            with self.hosts.open("rb") as file:
                inherited = arguments[2] & os.O_CLOEXEC
                answer = _FILE.pack(key, _FILE_IS_ANSWER, file.fileno(), 0, inherited)
                fcntl.ioctl(listener, _GIVE_FILE, answer)
            return
        refusal = self._refusal(pid, _addresses(pid, number, arguments))
        answer = _REPLY.pack(key, 0, -refusal, 0) if refusal else _REPLY.pack(key, 0, 0, _GO_ON)
        fcntl.ioctl(listener, _ANSWER, answer)

    def _refusal(self, pid: int, addresses: Iterator[bytes]) -> int:
        for address in addresses:
            if _is_resolver(address):
                return errno.ENOENT
            if target := _outside(address):
                self.attempts.append(f"{_command_of(pid)} -> {target}")
                return errno.ENETUNREACH
        return 0


@contextmanager
def confining(hosts: Mapping[str, str] | None = None) -> Iterator[Confinement]:
    """Judge what confined commands do until the block is left; they must have ended by then.

    With `hosts`, addresses by name, their /etc/hosts has these and localhost alone.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="confined-")))
        confinement = Confinement(
            door=folder / "door", hosts=_hosts_file(folder, hosts) if hosts else None
        )
        door = stack.enter_context(socket.socket(socket.AF_UNIX))
        door.bind(str(confinement.door))
        door.listen()
        end, told = os.pipe()
        judging = threading.Thread(target=_judge_all, args=(confinement, door, end))
        judging.start()
        try:
            yield confinement
        finally:
            os.close(told)
            judging.join()
            os.close(end)


def _hosts_file(folder: Path, hosts: Mapping[str, str]) -> Path:
    # Of both families, or resolvers that ask for each would ask the name server for the other.
    lines = [
        f"{address} {name}\n::ffff:{address} {name}\n"
        for name, address in {"localhost": "127.0.0.1", **hosts}.items()
    ]
    path = folder / "hosts"
    path.write_text("".join(lines), encoding="ascii")
    return path


def _judge_all(confinement: Confinement, door: socket.socket, end: int) -> None:
    poll = select.poll()
    for waited in (door.fileno(), end):
        poll.register(waited, select.POLLIN)
    listeners: set[int] = set()
    while True:
        for ready, events in poll.poll():
            if ready == end:
                for listener in listeners:
                    os.close(listener)
                return
            if ready == door.fileno():
                listener = _taken(door)
                listeners.add(listener)
                poll.register(listener, select.POLLIN)
            elif events & select.POLLIN:
                # The one who asked may be gone: killed, or called away by a signal.
                with suppress(OSError):
                    confinement.judge(ready)
            else:
                # Nobody is left who could ask.
                poll.unregister(ready)
                listeners.remove(ready)
                os.close(ready)


def _taken(door: socket.socket) -> int:
    connection, _ = door.accept()
    with connection:
        _, [listener], _, _ = socket.recv_fds(connection, 1, 1)
        connection.send(b"x")
    return listener


def _addresses(pid: int, number: int, arguments: Sequence[int]) -> Iterator[bytes]:
    match number:
        case CALLS.connect:
            yield _read(pid, arguments[1], arguments[2])
        case CALLS.sendto:
            yield _read(pid, arguments[4], arguments[5])
        case CALLS.sendmsg:
            yield _addressee(pid, arguments[1])
        case CALLS.sendmmsg:
            for index in range(min(arguments[2], MAX_MESSAGES)):
                yield _addressee(pid, arguments[1] + index * _MESSAGE_STEP)


def _addressee(pid: int, message: int) -> bytes:
    head = _read(pid, message, _MESSAGE.size)
    address, size = _MESSAGE.unpack(head) if len(head) == _MESSAGE.size else (0, 0)
    return _read(pid, address, size) if address else b""


def _read(pid: int, address: int, size: int) -> bytes:
    try:
        memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
        try:
            return os.pread(memory, min(size, MAX_ADDRESS_BYTES), address)
        finally:
            os.close(memory)
    except OSError:
        return b""


def _is_resolver(address: bytes) -> bool:
    return _family(address) == socket.AF_UNIX and address[2:].startswith(RESOLVERS)


def _outside(address: bytes) -> str:
    """Return what an address is, if it is not this machine, else nothing."""
    match _family(address):
        case socket.AF_UNSPEC | socket.AF_UNIX | socket.AF_NETLINK:
            return ""
        case socket.AF_INET if len(address) >= 8:
            ip: ipaddress.IPv4Address | ipaddress.IPv6Address
            ip = ipaddress.IPv4Address(address[4:8])
        case socket.AF_INET6 if len(address) >= 24:
            ip = ipaddress.IPv6Address(address[8:24])
            ip = ip.ipv4_mapped or ip
        case family:
            return f"an address of family {family}"
    port = int.from_bytes(address[2:4])
    is_here = ip.is_loopback or ip.is_unspecified or ip in OWN_ADDRESSES
    return "" if is_here and port != DNS_PORT else f"{ip} port {port}"


def _family(address: bytes) -> int:
    return int.from_bytes(address[:2], sys.byteorder)


def _command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ").strip()
    except OSError:
        return str(pid)
