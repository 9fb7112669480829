"""Runs all processes as one: starts them, says when they are ready, stops them in order."""

import asyncio
import signal
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from itertools import cycle
from typing import Any

from rich.console import Console
from rich.text import Text

from parley.gateway_client.answers import GatewayError, UnreachableError
from parley.gateway_client.connection import gateway_at, key_of
from parley.gateway_client.stopping import stop_all
from parley.plan.listeners import GATEWAY
from parley.plan.processes import Process
from parley.processes.running import Running, running
from parley.readiness import until_ready
from parley.terminal.escaping import visible_line

_COLOURS = ("cyan", "magenta", "yellow", "blue", "green")
_GRACE_S = 20.0
_OFF_AIR_S = 10.0
"""How long the end waits for the cloud to take digital humans off air."""

_READY_TIMEOUT_S = 180.0
_AGAIN_S = 1.0
"""How long a replica that has ended stays away."""


class Supervisor:
    """One run of planned processes, reported on a console."""

    def __init__(
        self, planned: Sequence[Process], environment: Mapping[str, str], console: Console
    ) -> None:
        self._planned = planned
        self._environment = environment
        self._console = console
        self._colours = dict(zip((each.name for each in planned), cycle(_COLOURS), strict=False))
        self._width = max(len(each.name) for each in planned)
        self._running: dict[str, Running] = {}
        self._gateway = next(each.name for each in planned if GATEWAY in each.listeners)
        """The process at the gateway's address."""

    async def run(self) -> int:
        """Run until told to stop or until a process ends by itself; returns the exit code.

        A replica that ends by itself is started again instead, once all have been ready. Raises
        PlanError when a setting makes no sense.
        """
        async with AsyncExitStack() as stack:
            told = stack.enter_context(_signals(self._running))
            # Left in the opposite order: the gateway stops first, the engine last.
            seats = []
            for process in self._planned:
                seat = await stack.enter_async_context(AsyncExitStack())
                await self._start(process, seat)
                seats.append((process, seat))
            ended = await self._watch(seats, told)
            if ended is None:
                self._console.print("Stopping…", style="bold")
            await self._take_off_air()
        if ended is not None:
            self._explain(ended)
            return 1
        return 0

    async def _start(self, process: Process, seat: AsyncExitStack) -> None:
        self._running[process.name] = await seat.enter_async_context(
            running(process, on_line=self._show, grace_s=_GRACE_S)
        )

    async def _watch(
        self, seats: Sequence[tuple[Process, AsyncExitStack]], told: asyncio.Event
    ) -> Running | None:
        """Return the process that ended by itself, or None when told to stop."""
        ready = asyncio.create_task(self._announce(), name="ready")
        stop = asyncio.create_task(told.wait(), name="told to stop")
        ends: set[asyncio.Task[Any]] = {
            asyncio.create_task(
                self._until_over(process, seat, ready), name=f"end of {process.name}"
            )
            for process, seat in seats
        }
        over = {stop, *ends}
        try:
            done, _ = await asyncio.wait({ready, *over}, return_when=asyncio.FIRST_COMPLETED)
            if done == {ready}:
                ready.result()
                done, _ = await asyncio.wait(over, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (ready, *over):
                task.cancel()
            await asyncio.gather(ready, *over, return_exceptions=True)
        return None if stop in done else next(iter(done & ends)).result()

    async def _until_over(
        self, process: Process, seat: AsyncExitStack, ready: asyncio.Task[None]
    ) -> Running:
        """Return the process once it has ended by itself and is not started again."""
        while True:
            ended = self._running[process.name]
            exit_code = await ended.wait()
            # What ends before it was ready would do so again.
            if not (process.is_replica and ready.done()):
                return ended
            self._console.print(
                f"{process.name} ended by itself with exit code {exit_code}; it is started again",
                style="bold",
            )
            await seat.aclose()
            await asyncio.sleep(_AGAIN_S)
            await self._start(process, seat)

    async def _announce(self) -> None:
        waiting = {process.name for process in self._planned}
        with self._console.status(_still(waiting)) as status:

            async def watch(process: Process) -> None:
                # Of a process with two listeners the first one counts.
                await until_ready(process.listeners[0], process.environment)
                waiting.remove(process.name)
                self._console.print(f"{process.name} is ready", style="dim")
                status.update(_still(waiting))

            try:
                async with asyncio.timeout(_READY_TIMEOUT_S), asyncio.TaskGroup() as group:
                    for process in self._planned:
                        group.create_task(watch(process))
            except TimeoutError:
                self._console.print(
                    f"Not ready after {_READY_TIMEOUT_S:.0f} s: {', '.join(sorted(waiting))}. "
                    "`parley doctor` may show why.",
                    style="bold red",
                )
                return
        url = GATEWAY.url(self._environment)
        self._console.rule(style="green")
        self._console.print(f"  Parley is up: [bold]{url}[/bold]   (Ctrl-C stops it)")
        self._console.rule(style="green")

    async def _take_off_air(self) -> None:
        """Stop all tenants' tasks while the services live that can: nobody is left to talk with."""
        if self._running[self._gateway].exit_code is not None:
            return
        try:
            url, key = GATEWAY.url(self._environment), key_of(self._environment)
            async with asyncio.timeout(_OFF_AIR_S), gateway_at(url, key) as gateway:
                await stop_all(gateway, self._console, is_of_every_tenant=True)
        except UnreachableError:
            return  # It is not up yet, or a second signal has killed it.
        except (GatewayError, TimeoutError):
            self._console.print(
                "Not all could be taken off air. What is left ends when nobody talks with it; "
                "the next start finds it in the journal.",
                style="bold red",
            )

    def _show(self, name: str, line: str) -> None:
        prefix = Text(f"{name:<{self._width}} │ ", style=self._colours[name])
        self._console.print(prefix + Text.from_ansi(visible_line(line)), soft_wrap=True)

    def _explain(self, ended: Running) -> None:
        self._console.print(
            f"{ended.name} ended by itself with exit code {ended.exit_code}, so all was stopped. "
            "Its last lines:",
            style="bold red",
        )
        for line in ended.tail:
            self._console.print(Text.from_ansi(f"  {visible_line(line)}"), soft_wrap=True)


def _still(waiting: Collection[str]) -> str:
    return f"Getting ready: {', '.join(sorted(waiting))}"


@contextmanager
def _signals(processes: Mapping[str, Running]) -> Iterator[asyncio.Event]:
    """Set the event at the first SIGINT, SIGTERM or SIGHUP; a second one kills the processes."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()

    def tell() -> None:
        if told.is_set():
            for process in processes.values():
                process.kill()
        told.set()

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, tell)
    try:
        yield told
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
