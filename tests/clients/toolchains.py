"""What the clients are built with and run in, and what of it a machine lacks."""

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

CONTINUOUS_INTEGRATION = "CI"


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolchain:
    """The programs that build and run clients in one language, or a browser for all."""

    name: str
    programs: Mapping[str, tuple[int, ...]]
    """The oldest version that will do, by the command that tells the version first."""

    def missing(self) -> str:
        """Return what this machine lacks; empty: nothing."""
        lacks = [
            f"{command.split()[0]} {'.'.join(map(str, oldest))} or newer"
            for command, oldest in self.programs.items()
            if _version(command) < oldest
        ]
        return f"{self.name}: needs {', '.join(lacks)}" if lacks else ""


FIREFOX = Toolchain(name="Firefox", programs={"firefox --version": (128,)})
GO = Toolchain(name="Go", programs={"go version": (1, 26)})
JAVA = Toolchain(name="Java", programs={"javac -version": (17,), "mvn -version": (3, 8)})
NODE = Toolchain(name="Node", programs={"node --version": (20,), "npm --version": (10,)})
RUST = Toolchain(name="Rust", programs={"cargo --version": (1, 88)})
SWIFT = Toolchain(name="Swift", programs={"swift --version": (5, 9)})
TOOLCHAINS = (FIREFOX, GO, JAVA, NODE, RUST, SWIFT)


def require(toolchain: Toolchain) -> None:
    """Skip the running test if its toolchain is missing; in continuous integration, fail it."""
    if not (missing := toolchain.missing()):
        return
    if os.environ.get(CONTINUOUS_INTEGRATION) == "true":
        pytest.fail(missing, pytrace=False)
    pytest.skip(missing)


def _version(command: str) -> tuple[int, ...]:
    """Return the first version number that a command prints; empty if there is no such program."""
    try:
        told = subprocess.run(command.split(), capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ()
    found = re.search(r"\d+(\.\d+)+", told)
    return tuple(map(int, found[0].split("."))) if found else ()
