"""Replaces itself with a program that is terminated when its parent dies, for any reason.

Run as a script: `parent_death.py PARENT_PID PROGRAM ARGUMENT…`. It is a process of its own because
the system lets only the child tie itself to its parent, and because a parent with threads must not
run code between fork and exec.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def become(parent: int, words: list[str]) -> None:
    """Replace this process with the program; does not return."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            sys.exit("the parent has exited")
    # A parent in a shell's background ignores Ctrl-C, and its children would inherit that.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        os.execvp(words[0], words)
    except OSError as error:
        sys.exit(f"cannot run {words[0]}: {error.strerror}")


if __name__ == "__main__":
    become(int(sys.argv[1]), sys.argv[2:])
