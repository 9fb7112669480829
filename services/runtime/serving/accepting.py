"""A gRPC server that reads no path but those of its methods, and answers what it accepts.

grpc.aio decodes any other path in the loop in which it accepts calls, before any interceptor: one
that is no UTF-8 ends that loop. Whoever reaches the port can send such a path. When the loop ends,
by this or because the server shuts down, the requests for calls for which it waited are freed. What
gRPC's core writes into their memory then sooner or later ends the process, and a call that was just
accepted is dropped: its caller is cancelled, or never told, and the server waits for its end
(grpcio 1.85). So calls are accepted here, of each method until the core gives no more, and those of
no method are told that there is none, whatever they ask for.
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
    """Accepts and begins calls itself; its loop only waits for the end."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        pool: None,
        handlers: Sequence[Any],
        interceptors: Sequence[grpc.aio.ServerInterceptor],
        *limits: Any,
    ) -> None:
        super().__init__(loop, pool, handlers, interceptors, *limits)
        self._interceptors_of_calls = tuple(interceptors)
        self._handlers: dict[str, Any] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    def add_registered_method_handlers(self, method_handlers: dict[str, Any]) -> None:
        """Have methods served, by their paths."""
        super().add_registered_method_handlers(method_handlers)
        self._handlers |= method_handlers

    def _make_request_call_future(self, method: bytes | None) -> asyncio.Future[Never]:
        """Return what fails when the server stops; to cancel it ends no request to the core."""
        accepting = self._kept(self._accept(method))
        accepting.add_done_callback(_note_end)
        return asyncio.shield(accepting)

    async def _accept(self, method: bytes | None) -> Never:
        """Begin calls of a method, or of none, until the server stops, which raises."""
        while True:
            if method is None:
                call = await self._request_call()
                self._begin(call, _NAMELESS, {}, ())
            else:
                call = await self._request_registered_call(method)
                self._begin(call, method.decode(), self._handlers, self._interceptors_of_calls)

    def _begin(
        self,
        call: Any,
        path: str,
        handlers: dict[str, Any],
        interceptors: tuple[grpc.aio.ServerInterceptor, ...],
    ) -> None:
        loop = asyncio.get_running_loop()
        resolver = cygrpc._MethodResolver([], handlers)
        answered = cygrpc._handle_rpc(path, resolver, interceptors, call, loop, False)
        self._kept(cygrpc._schedule_rpc_coro(answered, call, loop, path))

    def _kept(self, work: Any) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _note_end(accepting: asyncio.Task[Never]) -> None:
    """Retrieve the error, which nobody may wait for any more."""
    if not accepting.cancelled():
        accepting.exception()
