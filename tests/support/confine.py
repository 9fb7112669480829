"""Becomes another program whose system calls that reach outwards are asked about elsewhere first.

Run as a script: `confine.py DOOR CALLS PROGRAM ARGUMENT…`. The filter is the kernel's (seccomp); it
holds for the program and all its children, and needs no privilege. Who listens at the socket DOOR
gets the descriptor at which the kernel asks; CALLS are the numbers, joined by commas, of the system
calls about which it does, besides a `sendto` that names an address.
"""

import ctypes
import os
import platform
import socket
import sys
import threading
from collections.abc import Sequence
from typing import NamedTuple


class SystemCalls(NamedTuple):
    """The numbers that a machine has for what reaches outwards, and for the filter itself."""

    seccomp: int
    connect: int
    sendto: int
    sendmsg: int
    sendmmsg: int
    openat: int


_X86 = SystemCalls(seccomp=317, connect=42, sendto=44, sendmsg=46, sendmmsg=307, openat=257)
_ARM = SystemCalls(seccomp=277, connect=203, sendto=206, sendmsg=211, sendmmsg=269, openat=56)
CALLS = {"x86_64": _X86, "aarch64": _ARM}[platform.machine()]

_PR_SET_NO_NEW_PRIVS = 38
_SET_MODE_FILTER = 1
_NEW_LISTENER = 1 << 3
_ALLOW = 0x7FFF0000
_ASK = 0x7FC00000

# Of the filter's language: load a word of the call, jump if it equals, return.
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_NUMBER_AT = 0
_ADDRESS_OF_SENDTO_AT = 16 + 4 * 8


class _Instruction(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_ushort),
        ("jump_if", ctypes.c_ubyte),
        ("jump_else", ctypes.c_ubyte),
        ("operand", ctypes.c_uint),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("first", ctypes.POINTER(_Instruction)))


def become(door: str, asked: Sequence[int], words: list[str]) -> None:
    """Replace this process by the confined program; does not return."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(door)
        # Handing over is a call that the filter asks about: a thread does it that has none.
        listeners: list[int] = []
        is_made = threading.Event()

        def hand_over() -> None:
            is_made.wait()
            socket.send_fds(connection, [b"x"], listeners)
            connection.recv(1)

        helper = threading.Thread(target=hand_over)
        helper.start()
        listeners.append(_filter_this_thread(asked))
        is_made.set()
        helper.join()
        os.execvp(words[0], words)


def _filter_this_thread(asked: Sequence[int]) -> int:
    tests = [
        (_JUMP_IF_EQUAL, len(asked) + 3 - index, 0, number) for index, number in enumerate(asked)
    ]
    instructions = [
        (_LOAD, 0, 0, _NUMBER_AT),
        *tests,
        (_JUMP_IF_EQUAL, 0, 2, CALLS.sendto),
        (_LOAD, 0, 0, _ADDRESS_OF_SENDTO_AT),
        (_JUMP_IF_EQUAL, 0, 1, 0),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _ASK),
    ]
    first = (_Instruction * len(instructions))(*(_Instruction(*each) for each in instructions))
    program = _Program(length=len(instructions), first=first)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    listener: int = libc.syscall(
        CALLS.seccomp, _SET_MODE_FILTER, _NEW_LISTENER, ctypes.byref(program)
    )
    if listener < 0:
        sys.exit(f"this system has no filter that asks: {os.strerror(ctypes.get_errno())}")
    return listener


if __name__ == "__main__":
    become(sys.argv[1], [int(each) for each in sys.argv[2].split(",")], sys.argv[3:])
