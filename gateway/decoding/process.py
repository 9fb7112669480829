"""The process that decodes what strangers send, each recording and stream in a child with limits.

It has no secrets, because its environment is empty, and no state: it only forks, so that a child
need not load the libraries again. A child that exceeds its memory or time is killed by the system.
"""

import json
import os
import resource
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress

from gateway.decoding import live
from gateway.decoding.messages import STREAM, TAKEN
from gateway.decoding.recording import Job, decode
from gateway.decoding.refusal import Refusal, damaged

MEMORY_BYTES = 384 * 2**20
"""Of address space, a third of which is the libraries."""

MAX_JOB_BYTES = 4_096

YIELDING = 10
"""How much later than the gateway the children get the processor: all clients share its loop."""


def main() -> None:
    """Serve over the socket whose descriptor is the first argument, until the other end closes.

    Each message is a byte that says what to do, and its descriptors: the sockets of a job and its
    recording, or that of a live stream.
    """
    # The gateway handles the signals that all its processes get.
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)
    # The system reaps the children.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(fileno=int(sys.argv[1])) as line:
        while True:
            message, descriptors, _, _ = socket.recv_fds(line, 1, 2)
            if not message:
                return
            if os.fork() == 0:
                line.close()
                _work(message, descriptors)
            for each in descriptors:
                os.close(each)


def _work(what: bytes, descriptors: Sequence[int]) -> None:
    """Do one job, or serve one stream, and end."""
    try:
        line = socket.socket(fileno=descriptors[0])
        line.sendall(TAKEN)
        _confine()
        if what == STREAM:
            live.serve(line)
        else:
            asked = json.loads(line.recv(MAX_JOB_BYTES))
            _hurry(asked.pop("within_s"))
            line.sendall(_answer(descriptors[1], Job(**asked)))
    finally:
        # No cleanup: what was decoded may have corrupted the process.
        os._exit(0)


def _answer(recording: int, job: Job) -> bytes:
    """Return a line of JSON, followed by the PCM if the recording was decoded."""
    try:
        with open(recording, "rb") as source:
            return b"{}\n" + decode(source, job)
    except Refusal as error:
        refusal = error
    except Exception:
        refusal = damaged()
    return json.dumps(refusal.members()).encode() + b"\n"


def _hurry(within_s: float) -> None:
    """Have the system end this process after a while."""
    # A timer of 0 would be disabled.
    signal.setitimer(signal.ITIMER_REAL, max(within_s, 0.001))
    _limit(resource.RLIMIT_CPU, int(within_s) + 1)


def _confine() -> None:
    """Limit what this process may take from the machine, and from the gateway beside it."""
    os.nice(YIELDING)
    _limit(resource.RLIMIT_AS, MEMORY_BYTES)
    _limit(resource.RLIMIT_DATA, MEMORY_BYTES)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, 16)


def _limit(kind: int, most: int) -> None:
    """Set a limit; one that the system does not support is skipped."""
    with suppress(ValueError, OSError):
        resource.setrlimit(kind, (most, most))


if __name__ == "__main__":
    main()
