"""A WebSocket with a fast path for the messages of a microphone."""

from websockets.protocol import State
from websockets.speedups import apply_mask

from gateway.server.frame_limit import FrameLimitedWebSocket

_WHOLE_BINARY = 0x82
_MASKED = 0x80
_LONG = _MASKED | 126
"""The length is in the next two bytes."""

_LONGEST_SHORT = 125


class SoundWebSocket(FrameLimitedWebSocket):
    """Reads audio without the general parser, which costs as much as all the rest of its way.

    A microphone sends 50 messages a second, each of which arrives alone and whole. Anything else,
    in pieces, several at once, or of another kind, is left to the parser.
    """

    def data_received(self, data: bytes) -> None:
        """Handle data."""
        sound = whole_message(data) if self._is_between_messages else None
        if sound is None:
            super().data_received(data)
            return
        if self.queue.empty():
            # As long as the application keeps up, reading goes on: a pause takes two system calls.
            self.queue.put_nowait({"type": "websocket.receive", "bytes": sound})
            return
        self.curr_msg_data_type = "bytes"
        self.frames = [sound]
        self.send_receive_event_to_app()

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
