"""The process that decodes what strangers send: each recording in a child of its own, with limits.

It knows no secrets, because its environment is empty, and holds no state: it only forks, so that a
child need not load the libraries again. A child that wants more memory or time than it may have
is ended by the system.
"""

import json
import os
import resource
import signal
import socket
import sys
from contextlib import suppress

from gateway.decoding.recording import Job, decode
from gateway.decoding.refusal import Refusal, damaged

MEMORY_BYTES = 384 * 2**20
"""Of addresses, a third of which are the libraries."""

MAX_JOB_BYTES = 4_096


def main() -> None:
    """Serve over the socket whose descriptor is the first argument, until the other end closes.

    Each message is one byte with two descriptors: the socket of a job, and the recording.
    """
    # A signal to all processes of the gateway is the gateway's to answer.
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)
    # The system buries the children.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(fileno=int(sys.argv[1])) as line:
        while True:
            message, descriptors, _, _ = socket.recv_fds(line, 1, 2)
            if not message:
                return
            if os.fork() == 0:
                line.close()
                _work(*descriptors)
            for each in descriptors:
                os.close(each)


def _work(answer_to: int, recording: int) -> None:
    """Do one job and end."""
    try:
        answers = socket.socket(fileno=answer_to)
        asked = json.loads(answers.recv(MAX_JOB_BYTES))
        _limit(asked.pop("within_s"))
        answers.sendall(_answer(recording, Job(**asked)))
    finally:
        # Nothing is cleaned up: what a damaged recording has done to the process shall not run.
        os._exit(0)


def _answer(recording: int, job: Job) -> bytes:
    """Return a line of JSON, followed by the PCM when there is nothing to refuse."""
    try:
        with open(recording, "rb") as source:
            return b"{}\n" + decode(source, job)
    except Refusal as refusal:
        told = refusal
    except Exception:
        told = damaged()
    fields = {"fault": told.fault, "rule": told.rule, "description": told.description}
    return json.dumps(fields).encode() + b"\n"


def _limit(within_s: float) -> None:
    """Bound this process; where the system knows a limit not, the others have to do."""
    # A time of nothing would be none at all.
    signal.setitimer(signal.ITIMER_REAL, max(within_s, 0.001))
    seconds = int(within_s) + 1
    for kind, most in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_DATA, MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 16),
    ):
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (most, most))


if __name__ == "__main__":
    main()
