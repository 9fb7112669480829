"""The process that decodes untrusted recordings, each in a child of its own with limits.

It has no secrets, because its environment is empty, and no state: it only forks, so that a child
need not load the libraries again. A child that exceeds its memory or time is killed by the system.
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
"""Of address space, a third of which is the libraries."""

MAX_JOB_BYTES = 4_096


def main() -> None:
    """Serve over the socket whose descriptor is the first argument, until the other end closes.

    Each message is one byte with two descriptors: the socket of a job, and the recording.
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
        # No cleanup: a malicious recording may have corrupted the process.
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
    fields = {"fault": refusal.fault, "rule": refusal.rule, "description": refusal.description}
    return json.dumps(fields).encode() + b"\n"


def _limit(within_s: float) -> None:
    """Limit this process; a limit that the system does not support is skipped."""
    # A timer of 0 would be disabled.
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
