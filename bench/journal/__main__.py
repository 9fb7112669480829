"""`python -m bench.journal`: what the record of conversations costs, per minute of one, as JSON.

The task service runs as shipped, on SQLite or PostgreSQL, and is told a recorded conversation many
times over, in real time and in the batches in which the speech service writes. The avatar service
is a fake that costs nothing; the load is this process, whose CPU is not counted.
"""

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import uvloop

from bench.conversation.stack import STOP_S, free_ports, system_environment
from bench.journal.avatars import serving_avatars
from bench.journal.database import Reading, opened
from bench.journal.load import Conversations, turns_of
from bench.journal.recording import recorded
from bench.scale.figures import spread
from digitalhuman.task.v1.task_pb2_grpc import TaskServiceStub
from parley.processes.running import Command, running
from parley.readiness import until_serving
from services.runtime.channels.channel import connected

Figures = dict[str, Any]


async def measure(database: str, *, conversations: int, watchers: int, seconds: float) -> Figures:
    """Return the figures of one database, after a warm-up of one turn of each conversation."""
    async with AsyncExitStack() as life:
        target, service = await life.enter_async_context(_task_service(database))
        channel = await life.enter_async_context(connected(target))
        talk = Conversations(TaskServiceStub(channel), turns_of(recorded()))
        outside = await life.enter_async_context(opened(database))
        await life.enter_async_context(talk.talking(conversations, watchers=watchers))
        await asyncio.sleep(2 * talk.turn_s)
        talk.load.clear()
        before, cpu_s = await outside.read(), _cpu_s(service)
        began = time.monotonic()
        await asyncio.sleep(seconds)
        after, cpu_s = await outside.read(), _cpu_s(service) - cpu_s
        minutes = (time.monotonic() - began) / 60 * conversations
        rss_kb = round(service.memory_info().rss / 1000)
        load = talk.load
        return {
            "turns": round(load.turns / minutes, 2),
            "events": round(load.events / minutes, 2),
            "appends": round(len(load.append_s) / minutes, 2),
            "watched_events": round(load.watched_events / minutes, 2),
            **_growth(before, after, minutes),
            "task_service_cpu_s": round(cpu_s / minutes, 4),
            "append_s": spread(load.append_s, digits=4),
            "task_service_rss_kb": rss_kb,
        }


@asynccontextmanager
async def _task_service(database: str) -> AsyncIterator[tuple[str, psutil.Process]]:
    """Run the task service on a database; yields its address and its process."""
    port, avatar_port = free_ports(2)
    command = Command(
        name="task",
        words=(sys.executable, "-m", "services.task"),
        environment=system_environment()
        | {
            "TASK_PORT": str(port),
            "TASK_AVATAR_TARGET": f"127.0.0.1:{avatar_port}",
            "TASK_DATABASE": database,
            "TASK_MAX_RUNNING": "100000",
            "TASK_LONGEST_DURATION_S": "86400",
            "TASK_MAX_DURATION_S": "86400",
            "TASK_MAX_IDLE_DURATION_S": "86400",
        },
    )
    said: list[str] = []
    async with (
        serving_avatars(avatar_port),
        running(command, on_line=lambda _, line: said.append(line), grace_s=STOP_S) as process,
    ):
        target = f"127.0.0.1:{port}"
        serving = asyncio.create_task(until_serving(target))
        ended = asyncio.create_task(process.wait())
        await asyncio.wait({serving, ended}, return_when=asyncio.FIRST_COMPLETED)
        if not serving.done():
            raise RuntimeError(f"the task service did not start: {said[-20:]}")
        yield target, psutil.Process(process.pid)


def _growth(before: Reading, after: Reading, minutes: float) -> Figures:
    def each(first: float | None, last: float | None, digits: int) -> float | None:
        if first is None or last is None:
            return None
        return round((last - first) / minutes, digits)

    return {
        "write_transactions": each(before.writes, after.writes, 2),
        "transactions": each(before.transactions, after.transactions, 2),
        "stored_bytes": each(before.stored_bytes, after.stored_bytes, 0),
        "log_bytes": each(before.log_bytes, after.log_bytes, 0),
        "database_server_cpu_s": each(before.server_cpu_s, after.server_cpu_s, 4),
    }


def _cpu_s(process: psutil.Process) -> float:
    return float(sum(process.cpu_times()[:2]))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.journal", description=__doc__)
    parser.add_argument("--database", default="", help="as TASK_DATABASE; default: a new file")
    parser.add_argument("--conversations", type=int, default=50)
    parser.add_argument("--watchers", type=int, default=0, help="of each conversation")
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    load_average = psutil.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        figures = uvloop.run(
            measure(
                options.database or str(Path(folder) / "tasks.sqlite3"),
                conversations=options.conversations,
                watchers=options.watchers,
                seconds=options.seconds,
            )
        )
    described = {
        "database": "postgresql" if "://" in options.database else "sqlite",
        "conversations": options.conversations,
        "watchers_of_each": options.watchers,
        "seconds": options.seconds,
        "machine": {
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "load_average_before": round(load_average, 2),
            "time": time.strftime("%Y-%m-%d %H:%M"),
        },
    }
    json.dump(described | {"per_conversation_minute": figures}, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
