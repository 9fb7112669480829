"""The task service as a process that may be killed."""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc

from digitalhuman.task.v1.task_pb2_grpc import TaskServiceStub
from parley.processes.running import Command, Running, running
from parley.readiness import until_serving
from tests.support.compose import LOOPBACK, ROOT, free_ports


class Machine:
    """A machine on which the task service runs, dies and restarts, in front of one cloud.

    `code` is the folder of the service's version, `variables` are more of its environment.
    """

    def __init__(
        self, avatar_target: str, database: Path | str, *, code: Path = ROOT, **variables: str
    ) -> None:
        [port] = free_ports(1)
        self.target = f"{LOOPBACK}:{port}"
        self._command = Command(
            name="task",
            # Not the code of the folder that the tests run in.
            words=(sys.executable, "-P", "-m", "services.task"),
            environment={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": os.pathsep.join([str(code), str(code / "gen")]),
                "TASK_PORT": port,
                "TASK_AVATAR_TARGET": avatar_target,
                "TASK_DATABASE": str(database),
                "TASK_SWEEP_INTERVAL_S": "0.1",
                "TASK_POLL_S": "0.01",
                **variables,
            },
        )

    @asynccontextmanager
    async def process(self) -> AsyncIterator[tuple[Running, TaskServiceStub]]:
        """Run the service while the block is open; yields the process and a client."""
        async with (
            running(self._command, on_line=lambda *_: None, grace_s=10) as process,
            grpc.aio.insecure_channel(self.target) as channel,
        ):
            await until_serving(self.target)
            yield process, TaskServiceStub(channel)
