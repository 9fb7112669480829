"""A gRPC server that reads no path but those of its methods.

grpc.aio decodes any other path in the loop in which it accepts calls, before any interceptor: one
that is no UTF-8 ends that loop. The requests for calls for which it waited are freed, and gRPC's
core writes into their memory when the server shuts down, which sooner or later ends the process
(grpcio 1.85). Whoever reaches the port can send such a path. So calls of no method are accepted
here, and are told that there is none, whatever they ask for.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Never, TypeAlias, cast

import grpc
from grpc._cython import cygrpc
from grpc.aio._server import Server

Options: TypeAlias = Sequence[tuple[str, int]]

_NAMELESS = "a path of no method"


def grpc_server(
    interceptors: Sequence[grpc.aio.ServerInterceptor], options: Options
) -> grpc.aio.Server:
    """Make a server, which serves only methods that are registered, as generated code does."""
    return cast("grpc.aio.Server", _Server(interceptors, options))


class _Server(Server):
    """Has its own loop in place of gRPC's, and is the same in all else."""

    def __init__(
        self, interceptors: Sequence[grpc.aio.ServerInterceptor], options: Options
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._server = _Accepting(self._loop, None, (), interceptors, tuple(options), None)


class _Accepting(cygrpc.AioServer):  # type: ignore[misc]  # has no types
    """Accepts calls of no method apart from the others."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._refusals: set[asyncio.Task[None]] = set()

    def _make_request_call_future(self, method: bytes | None) -> asyncio.Task[Any]:
        """Return what ends with the next call of a method; without one it goes on."""
        if method is None:
            return asyncio.create_task(self._refuse())
        accepted: asyncio.Task[Any] = super()._make_request_call_future(method)
        return accepted

    async def _refuse(self) -> Never:
        """Refuse calls until the server stops, which raises."""
        loop = asyncio.get_running_loop()
        while True:
            call = await self._request_call()
            answered = cygrpc._handle_rpc(_NAMELESS, _NO_METHODS, (), call, loop, False)
            refusal = asyncio.create_task(
                cygrpc._schedule_rpc_coro(answered, call, loop, _NAMELESS)
            )
            self._refusals.add(refusal)
            refusal.add_done_callback(self._refusals.discard)


_NO_METHODS = cygrpc._MethodResolver([], {})
