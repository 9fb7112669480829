"""A call from the console: one task, its line, and what it sounds like."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from parley.console.line import Line
from parley.console.sound import Sound
from parley.console.turns import Turns
from parley.console.view import View
from parley.gateway_client.answers import Json
from parley.gateway_client.gateway import Gateway

_ABSENCE_S = 60
"""A console that was killed leaves nothing on air for longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """Who is called, and in which language."""

    persona_id: str | None = None
    language_code: str | None = None


async def hold(
    gateway: Gateway,
    view: View,
    wishes: Wishes,
    texts: AsyncIterator[str],
    *,
    sound: Sound | None,
) -> None:
    """Hold a call until there are no more texts or it ends; then stop its task, whatever happens.

    With `sound` somebody is there: the digital human greets, texts cut it off, and empty ones only
    that. Without, each text waits for the reply to the one before. Raises GatewayError.
    """
    async with AsyncExitStack() as stack:
        user_id = f"console-{secrets.token_hex(8)}"
        greeting = {"greeting": ""} if sound is None else {"greetWhen": "WATCHED"}
        task = await gateway.create_task(
            persona_id=wishes.persona_id,
            language_code=wishes.language_code,
            more={"userId": user_id, "maxAbsenceSeconds": _ABSENCE_S, **greeting},
        )
        stack.push_async_callback(_stop, gateway, view, task["taskId"])
        has_microphone = sound is not None and sound.microphone is not None
        line = Line(gateway, task["taskId"], has_microphone=has_microphone)
        turns = Turns(gateway, view, line)
        if sound is None:
            await _first_of(turns.follow(), turns.ask_in_turn(texts))
            return
        access = await gateway.viewer_token(task, user_id=user_id)
        playing = asyncio.Event()
        await _first_of(
            turns.follow(),
            turns.ask_at_once(texts),
            _speak(line, sound),
            _listen(view, sound, access, playing),
            _greet(line, playing),
        )


async def _stop(gateway: Gateway, view: View, task_id: str) -> None:
    stopping = asyncio.create_task(gateway.stop_task(task_id))
    try:
        await asyncio.shield(stopping)
    finally:
        # Whoever hangs up in the middle of it waits.
        await stopping
    view.note("Off air.")


async def _first_of(*works: Coroutine[Any, Any, None]) -> None:
    """Run until the first is over, and raise what it raised."""
    running = [asyncio.create_task(each) for each in works]
    try:
        done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for each in done:
            each.result()
    finally:
        for each in running:
            each.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _speak(line: Line, sound: Sound) -> None:
    """Send what the microphone records."""
    if sound.microphone is not None:
        async for frame in sound.microphone.frames():
            await line.send_sound(frame)
    await _forever()


async def _listen(view: View, sound: Sound, access: Json, playing: asyncio.Event) -> None:
    """Play the stream; sets `playing` at its first sound, or where there will be none."""
    if sound.loudspeaker is not None:
        # It takes a second to load, which those without a loudspeaker need not wait.
        from parley.console.stream import NoStreamError, play

        try:
            await play(access, sound.loudspeaker, playing)
        except NoStreamError as error:
            view.note(str(error))
    playing.set()
    await _forever()


async def _greet(line: Line, playing: asyncio.Event) -> None:
    """Ask for the greeting once it can be heard, or read."""
    await playing.wait()
    await line.send(type="greet")
    await _forever()


async def _forever() -> None:
    await asyncio.get_running_loop().create_future()
