"""Becomes another program that is told to end when its starter dies, however that dies.

Run as a script: `parent_death.py STARTER_PID PROGRAM ARGUMENT…`. It stands between because the
system ties a process to its starter only from inside, and because a starter with threads must not
run code between fork and exec.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def become(starter: int, words: list[str]) -> None:
    """Replace this process by the program; does not return."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != starter:
            sys.exit("the starter is gone")
    # A starter in a shell's background ignores Ctrl-C, and what it starts would, too.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        os.execvp(words[0], words)
    except OSError as error:
        sys.exit(f"cannot run {words[0]}: {error.strerror}")


if __name__ == "__main__":
    become(int(sys.argv[1]), sys.argv[2:])
