"""The command `parley console`."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Coroutine
from typing import Annotated, Any

import typer

from parley.console.call import Wishes, hold
from parley.console.sound import Sound, sound_of_machine
from parley.console.typed import typed_lines
from parley.console.view import View
from parley.gateway_client.command import ApiKey, Tenant, Url, with_gateway
from parley.gateway_client.gateway import Gateway
from parley.terminal.console import console

_HANGING_UP = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def open_console(
    say: Annotated[
        list[str] | None,
        typer.Option("--say", help="Say this, wait for the answer, and hang up; repeatable."),
    ] = None,
    persona: Annotated[str | None, typer.Option(help="Who is called.")] = None,
    lang: Annotated[str | None, typer.Option(help="Language, such as en or zh, or auto.")] = None,
    is_silent: Annotated[
        bool, typer.Option("--text", help="Leave microphone and loudspeaker alone.")
    ] = False,
    url: Url = None,
    api_key: ApiKey = None,
    tenant: Tenant = None,
) -> None:
    """Talk with a digital human in this terminal, in speech or in writing.

    Lines from a pipe, and with --say, are asked one after the other.
    """
    if not all(text.strip() for text in say or ()):
        raise typer.BadParameter("give --say something to say")

    async def talk(gateway: Gateway) -> None:
        await _until_hung_up(_talk(gateway, say, wishes, is_silent=is_silent))

    wishes = Wishes(persona_id=persona, language_code=lang)
    with_gateway(url, api_key, talk, tenant_id=tenant)


async def _talk(
    gateway: Gateway, say: list[str] | None, wishes: Wishes, *, is_silent: bool
) -> None:
    view = View(console)
    view.note("Putting a digital human on air…")
    if say:
        await hold(gateway, view, wishes, _each(say), sound=None)
        return
    lines = typed_lines(sys.stdin.fileno())
    if not sys.stdin.isatty():
        await hold(gateway, view, wishes, lines, sound=None)
    elif is_silent:
        await _converse(gateway, view, wishes, lines, Sound())
    else:
        with sound_of_machine() as sound:
            await _converse(gateway, view, wishes, lines, sound)


async def _converse(
    gateway: Gateway, view: View, wishes: Wishes, lines: AsyncIterator[str], sound: Sound
) -> None:
    for each in sound.missing:
        view.note(each)
    if sound.microphone is not None and sound.loudspeaker is not None:
        view.note("With headphones, your microphone does not hear the answers.")
    how = "Speak, or type" if sound.microphone is not None else "Type"
    view.note(f"{how} and press Enter. Enter alone interrupts, Ctrl-C hangs up.")
    await hold(gateway, view, wishes, lines, sound=sound)


async def _each(texts: list[str]) -> AsyncIterator[str]:
    for text in texts:
        yield text


async def _until_hung_up(call: Coroutine[Any, Any, None]) -> None:
    """Hold a call until it ends, or somebody hangs up; then it is ended once, and in peace."""
    loop = asyncio.get_running_loop()
    holding = asyncio.create_task(call)
    hung_up = asyncio.Event()
    for way in _HANGING_UP:
        loop.add_signal_handler(way, hung_up.set)
    hanging_up = asyncio.create_task(hung_up.wait())
    await asyncio.wait({holding, hanging_up}, return_when=asyncio.FIRST_COMPLETED)
    hanging_up.cancel()
    if holding.done():
        holding.result()
        return
    holding.cancel()
    # What cannot be stopped is still said.
    [ended] = await asyncio.gather(holding, return_exceptions=True)
    if isinstance(ended, Exception):
        raise ended
