"""A channel that is made anew when its process's certificate changes, under the same stubs."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any

import grpc

from services.runtime.security.tls import Material, Tls

RETRIES_S = 60.0
"""How long calls that have begun may still be retried on their channel."""

LAST_CALLS_S = 3600.0
"""How long calls may still take on a channel that is not used any more."""


class RotatingChannel(grpc.aio.Channel):
    """Makes new calls with what the files hold now; running ones end on their old connection."""

    def __init__(self, tls: Tls, make: Callable[[Material], grpc.aio.Channel]) -> None:
        self._tls = tls
        self._make = make
        self._material = tls.current()
        self._channel = make(self._material)
        self._is_replaced = asyncio.Event()
        self._retiring: dict[asyncio.Task[None], grpc.aio.Channel] = {}

    def current(self) -> grpc.aio.Channel:
        """Return the channel for new calls."""
        material = self._tls.current()
        if material is not self._material:
            self._retire(self._channel)
            self._material = material
            self._channel = self._make(material)
            self._is_replaced.set()
            self._is_replaced = asyncio.Event()
        return self._channel

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """Return whether new calls find a connection."""
        return self.current().get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Return when the state may have changed."""
        watched = self.current().wait_for_state_change(last_observed_state)
        waits = {asyncio.ensure_future(each) for each in (watched, self._is_replaced.wait())}
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                each.result()
        finally:
            for each in waits:
                each.cancel()
            await asyncio.wait(waits)

    async def channel_ready(self) -> None:
        """Return once there is a connection."""
        while (state := self.get_state(try_to_connect=True)) is not grpc.ChannelConnectivity.READY:
            await self.wait_for_state_change(state)

    def unary_unary(self, *given: Any, **named: Any) -> Any:
        """Return what makes calls of a method."""
        return self._method(lambda channel: channel.unary_unary(*given, **named))

    def unary_stream(self, *given: Any, **named: Any) -> Any:
        """Return what makes calls of a method."""
        return self._method(lambda channel: channel.unary_stream(*given, **named))

    def stream_unary(self, *given: Any, **named: Any) -> Any:
        """Return what makes calls of a method."""
        return self._method(lambda channel: channel.stream_unary(*given, **named))

    def stream_stream(self, *given: Any, **named: Any) -> Any:
        """Return what makes calls of a method."""
        return self._method(lambda channel: channel.stream_stream(*given, **named))

    async def close(self, grace: float | None = None) -> None:
        """End all calls, after a grace period in seconds."""
        retiring = dict(self._retiring)
        for task in retiring:
            task.cancel()
        await asyncio.gather(*retiring, return_exceptions=True)
        await asyncio.gather(*(each.close(grace) for each in (self._channel, *retiring.values())))

    async def __aenter__(self) -> "RotatingChannel":
        """Return the channel."""
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        """End all calls."""
        await self.close()

    def _method(self, made_on: Callable[[grpc.aio.Channel], Any]) -> Callable[..., Any]:
        channel = self._channel
        method = made_on(channel)

        def call(*given: Any, **named: Any) -> Any:
            nonlocal channel, method
            current = self.current()
            if current is not channel:
                channel, method = current, made_on(current)
            return method(*given, **named)

        return call

    def _retire(self, channel: grpc.aio.Channel) -> None:
        task = asyncio.create_task(_ended(channel))
        self._retiring[task] = channel
        task.add_done_callback(self._retiring.pop)


async def _ended(channel: grpc.aio.Channel) -> None:
    # A channel that closes takes no new calls, and to it a retry is one.
    await asyncio.sleep(RETRIES_S)
    await channel.close(LAST_CALLS_S)
