"""The gRPC clients: how each is built from the bundle of protos, and what it tells when it runs."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from tests.clients.toolchains import GO, JAVA, NODE, RUST, Toolchain
from tests.support.compose import ROOT

CLIENTS = ROOT / "clients"
COMPILER = """#!/bin/sh
exec {python} -m grpc_tools.protoc "$@"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A client in one language; commands run in its folder."""

    name: str
    toolchain: Toolchain
    builds: tuple[tuple[str, ...], ...]
    generates: tuple[str, ...]
    """The command among those that build it to which the protos are given."""
    runs: tuple[str, ...]
    broken: str = "UNAVAILABLE"
    """The code that its gRPC library has for a connection that breaks."""

    @property
    def folder(self) -> Path:
        """Where it is."""
        return CLIENTS / self.name

    def run(
        self, command: Sequence[str], protos: str, path: str = os.environ["PATH"]
    ) -> subprocess.CompletedProcess[str]:
        """Run a command that builds it; what it writes is all on stdout."""
        return subprocess.run(
            command,
            cwd=self.folder,
            env=os.environ | {"PATH": path, "PARLEY_PROTOS": protos},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )


PROGRAMS = (
    Program(
        name="go",
        toolchain=GO,
        builds=(("go", "generate", "./..."), ("go", "vet", "./..."), ("go", "build", "-o", "bin/")),
        generates=("go", "generate", "./..."),
        runs=("bin/client",),
    ),
    Program(
        name="java",
        toolchain=JAVA,
        builds=(("mvn", "--batch-mode", "--quiet", "package"),),
        generates=("mvn", "--batch-mode", "--quiet", "validate"),
        runs=("java", "-jar", "target/client.jar"),
    ),
    Program(
        name="rust",
        toolchain=RUST,
        builds=(("cargo", "build", "--quiet"),),
        generates=("cargo", "build", "--quiet"),
        runs=("target/debug/client",),
        broken="UNKNOWN",
    ),
    Program(
        name="ts-grpc",
        toolchain=NODE,
        builds=(("npm", "ci"), ("npm", "run", "generate"), ("npm", "run", "build")),
        generates=("npm", "run", "--silent", "generate"),
        runs=("node", "dist/src/client.js"),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A client that can be run, with the protos that it was made from."""

    program: Program
    protos: Path

    @contextmanager
    def running(self, wav: Path, environment: Mapping[str, str]) -> Iterator["Run"]:
        """Run it until the block is left."""
        with subprocess.Popen(
            [*self.program.runs, str(wav)],
            cwd=self.program.folder,
            env=os.environ | {"PARLEY_PROTOS": str(self.protos)} | dict(environment),
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            try:
                yield Run(process=process, output=process.stdout)
            finally:
                process.kill()


@dataclass(kw_only=True)
class Run:
    """A client that runs."""

    process: subprocess.Popen[str]
    output: IO[str]
    lines: list[dict[str, Any]] = field(default_factory=list)

    def until(self, event: str) -> dict[str, Any]:
        """Wait for an event, and return it."""
        for text in self.output:
            self.lines.append(json.loads(text))
            if self.lines[-1]["event"] == event:
                return self.lines[-1]
        raise AssertionError(f"it ended without {event}: {self.lines}")

    def to_the_end(self) -> int:
        """Wait until it ends by itself, and return its exit code."""
        self.lines += map(json.loads, self.output)
        return self.process.wait()

    def told(self, event: str) -> list[dict[str, Any]]:
        """All events of a kind."""
        return [line for line in self.lines if line["event"] == event]


def build(program: Program, protos: Path, tools: Path) -> Built:
    """Build a client as its page says, with `protoc` in the folder `tools`, and `buf`."""
    path = os.pathsep.join([str(tools), str(Path(sys.executable).parent), os.environ["PATH"]])
    for command in program.builds:
        built = program.run(command, str(protos), path)
        assert built.returncode == 0, f"{' '.join(command)}:\n{built.stdout}"
    return Built(program=program, protos=protos)


def provide_compiler(folder: Path) -> Path:
    """Put the `protoc` of Python's package into a folder."""
    script = folder / "protoc"
    script.write_text(COMPILER.format(python=sys.executable))
    script.chmod(0o755)
    return folder
