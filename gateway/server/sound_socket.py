"""A WebSocket with a fast path for the messages of a microphone."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from starlette.types import Scope
from websockets.protocol import State
from websockets.speedups import apply_mask

from gateway.server.frame_limit import FrameLimitedWebSocket

_EXTENSION = "parley.sound"

_WHOLE_BINARY = 0x82
_MASKED = 0x80
_LONG = _MASKED | 126
"""The length is in the next two bytes."""

_LONGEST_SHORT = 125


TakeSound: TypeAlias = Callable[[bytes], bool]
"""Takes a message as it comes; False if the application shall receive it like all others."""


@contextmanager
def sound_passed_to(take: TakeSound, scope: Scope) -> Iterator[None]:
    """Have messages of sound passed to a function inside the block, by an extension of ASGI.

    Only while nothing waits to be received: the order stays. Other servers pass nothing.
    """
    extension = scope.get("extensions", {}).get(_EXTENSION)
    if extension is None:
        yield
        return
    extension["pass_to"](take)
    try:
        yield
    finally:
        extension["pass_to"](_leave)


def _leave(sound: bytes) -> bool:
    return False


class SoundWebSocket(FrameLimitedWebSocket):
    """Reads audio without the general parser, which costs as much as all the rest of its way.

    A microphone sends 50 messages a second, each of which arrives alone and whole. Anything else,
    in pieces, several at once, or of another kind, is left to the parser. An application may have
    sound passed on without waking its task.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._take: TakeSound = _leave

    async def run_asgi(self) -> None:
        """Run the application."""
        self.scope["extensions"][_EXTENSION] = {"pass_to": self._pass_to}
        await super().run_asgi()

    def data_received(self, data: bytes) -> None:
        """Handle data."""
        sound = whole_message(data) if self._is_between_messages else None
        if sound is None:
            super().data_received(data)
            return
        if self.queue.empty():
            # As long as the application keeps up, reading goes on: a pause takes two system calls.
            if not self._take(sound):
                self.queue.put_nowait({"type": "websocket.receive", "bytes": sound})
            return
        self.curr_msg_data_type = "bytes"
        self.frames = [sound]
        self.send_receive_event_to_app()

    def _pass_to(self, take: TakeSound) -> None:
        self._take = take

    @property
    def _is_between_messages(self) -> bool:
        is_at_rest = not (self.has_unread or self.conn.reader.buffer or self.frames)
        return is_at_rest and self.conn.state is State.OPEN


def whole_message(data: bytes) -> bytes | None:
    """Return the payload of data that is exactly one whole binary message (RFC 6455, 5.2).

    None for anything else.
    """
    size = len(data)
    if size < 8 or data[0] != _WHOLE_BINARY:
        return None
    length = data[1]
    if length == _LONG:
        payload_size, mask_at = int.from_bytes(data[2:4], "big"), 4
    elif _MASKED <= length <= _MASKED + _LONGEST_SHORT:
        payload_size, mask_at = length - _MASKED, 2
    else:
        return None
    payload_at = mask_at + 4
    if size != payload_at + payload_size:
        return None
    return apply_mask(data[payload_at:], data[mask_at:payload_at])
