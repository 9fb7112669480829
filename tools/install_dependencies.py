"""Installs the packages of a lock file and reports progress; needs only Python and pip."""

import re
import subprocess
import sys
from collections import deque
from pathlib import Path

_PIN = re.compile(r"^\S+==", re.MULTILINE)
_BAR_WIDTH = 30


def install(lock: Path) -> int:
    """Install the locked packages, verified by their hashes; return pip's exit code."""
    total = len(_PIN.findall(lock.read_text(encoding="utf-8")))
    print(f"Installing {total} pinned packages", flush=True)
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
    command += ["--progress-bar", "off", "--require-hashes", "--no-deps", "-r", str(lock)]
    tail: deque[str] = deque(maxlen=20)
    found = 0
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as pip:
        assert pip.stdout is not None
        for line in pip.stdout:
            tail.append(line)
            found += line.startswith(("Collecting", "Requirement already", "Ignoring"))
            _show(found, total, line)
    if sys.stdout.isatty():
        print("\r\033[K", end="")
    if pip.returncode:
        print("".join(tail), file=sys.stderr)
        print("pip could not install the packages; its last output is above.", file=sys.stderr)
    return pip.returncode


def _show(found: int, total: int, line: str) -> None:
    if not sys.stdout.isatty():
        return
    filled = _BAR_WIDTH * min(found, total) // total
    words = line.split()
    doing = " ".join(words[:2])[:40]
    bar = "#" * filled + "-" * (_BAR_WIDTH - filled)
    print(f"\r\033[K[{bar}] {found}/{total} {doing}", end="", flush=True)


if __name__ == "__main__":
    sys.exit(install(Path(sys.argv[1])))
