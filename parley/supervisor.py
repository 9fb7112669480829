"""Runs all processes as one: starts them, says when they are ready, stops them in order."""

import asyncio
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from typing import Any

from rich.console import Console
from rich.text import Text

from parley.gateway import GatewayError, UnreachableError, gateway_at, key_of
from parley.plan import GATEWAY, Listener, commands, listeners, require_free_ports
from parley.processes import Running, running
from parley.readiness import base_url, until_ready
from parley.tasks import stop_all

_COLOURS = ("cyan", "magenta", "yellow", "blue", "green")
_GRACE_S = 15.0
_OFF_AIR_S = 10.0
"""How long the end waits for the cloud to take digital humans off air."""

_READY_TIMEOUT_S = 180.0


class Supervisor:
    """One run of all processes in a complete environment, told about on a console."""

    def __init__(self, environment: Mapping[str, str], console: Console) -> None:
        self._environment = environment
        self._console = console
        self._commands = commands(self._environment)
        self._colours = dict(zip((each.name for each in self._commands), _COLOURS, strict=False))
        self._width = max(len(each.name) for each in self._commands)

    async def run(self) -> int:
        """Run until told to stop or until a process ends by itself; returns the exit code.

        Raises PlanError when a port is taken or a setting makes no sense.
        """
        require_free_ports(self._environment)
        async with AsyncExitStack() as stack:
            processes: list[Running] = []
            told = stack.enter_context(_signals(processes))
            # Left in the opposite order: the gateway stops first, the engine last.
            for command in self._commands:
                process = running(command, on_line=self._show, grace_s=_GRACE_S)
                processes.append(await stack.enter_async_context(process))
            ended = await self._watch(processes, told)
            if ended is None:
                self._console.print("Stopping…", style="bold")
                await self._take_off_air()
        if ended is not None:
            self._explain(ended)
            return 1
        return 0

    async def _watch(self, processes: Sequence[Running], told: asyncio.Event) -> Running | None:
        """Return the process that ended by itself, or None when told to stop."""
        ends: dict[asyncio.Task[Any], Running] = {
            asyncio.create_task(process.wait(), name=f"end of {process.name}"): process
            for process in processes
        }
        stop = asyncio.create_task(told.wait(), name="told to stop")
        ready = asyncio.create_task(self._announce(), name="ready")
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
        return None if stop in done else next(ends[task] for task in done if task in ends)

    async def _announce(self) -> None:
        # Of a process with two listeners the first one counts.
        waiting = {each.process: each for each in reversed(listeners(self._environment))}
        with self._console.status(_still(waiting)) as status:

            async def watch(each: Listener) -> None:
                await until_ready(each, self._environment)
                del waiting[each.process]
                self._console.print(f"{each.process} is ready", style="dim")
                status.update(_still(waiting))

            try:
                async with asyncio.timeout(_READY_TIMEOUT_S), asyncio.TaskGroup() as group:
                    for each in tuple(waiting.values()):
                        group.create_task(watch(each))
            except TimeoutError:
                self._console.print(
                    f"Not ready after {_READY_TIMEOUT_S:.0f} s: {', '.join(waiting)}. "
                    "`parley doctor` may show why.",
                    style="bold red",
                )
                return
        url = base_url(GATEWAY, self._environment)
        self._console.rule(style="green")
        self._console.print(f"  Parley is up: [bold]{url}[/bold]   (Ctrl-C stops it)")
        self._console.rule(style="green")

    async def _take_off_air(self) -> None:
        """Stop all tasks while the services that can do so live: nobody is left to talk with."""
        try:
            url, key = base_url(GATEWAY, self._environment), key_of(self._environment)
            async with asyncio.timeout(_OFF_AIR_S), gateway_at(url, key) as gateway:
                await stop_all(gateway, self._console)
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
        self._console.print(prefix + Text.from_ansi(line), soft_wrap=True)

    def _explain(self, ended: Running) -> None:
        self._console.print(
            f"{ended.name} ended by itself with exit code {ended.exit_code}, so all was stopped. "
            "Its last lines:",
            style="bold red",
        )
        for line in ended.tail:
            self._console.print(Text(f"  {line}"), soft_wrap=True)


def _still(waiting: Mapping[str, Listener]) -> str:
    return f"Getting ready: {', '.join(waiting)}"


@contextmanager
def _signals(processes: Sequence[Running]) -> Iterator[asyncio.Event]:
    """Set the event at the first SIGINT, SIGTERM or SIGHUP; a second one kills the processes."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()

    def tell() -> None:
        if told.is_set():
            for process in processes:
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
