"""A WebSocket that takes no client for gone whose answers were not read."""

from typing import Any

from gateway.server.send_timeout import PatientWebSocket


class AttentiveWebSocket(PatientWebSocket):
    """Counts only the time in which the answer to a ping would have been read.

    While the application is behind, nothing is read, and the answer waits behind what the client
    sent before: a busy gateway would cut off clients that are there.
    """

    async def receive(self) -> Any:
        """Return the next message, and read on when the application has taken all that came."""
        was_paused = self.read_paused
        message = await super().receive()
        if was_paused and not self.read_paused:
            self._wait_anew()
        return message

    def keepalive_timeout(self) -> None:
        """Let go of a client that has not answered, unless nobody has listened."""
        if self.read_paused and not self.transport.is_closing():
            self._wait_anew()
        else:
            super().keepalive_timeout()

    def _wait_anew(self) -> None:
        """Give a ping that is not answered yet all of its time again."""
        if self.pong_timer is None or self.ping_timeout is None:
            return
        self.pong_timer.cancel()
        self.pong_timer = self.loop.call_later(self.ping_timeout, self.keepalive_timeout)
