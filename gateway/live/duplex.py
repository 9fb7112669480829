"""The open line to a digital human, a WebSocket in both directions."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from fastapi import APIRouter, Request, Response, WebSocket
from starlette.websockets import WebSocketDisconnect, WebSocketDisconnected, WebSocketState

from digitalhuman.speech.v1 import speech_pb2 as pb
from gateway.access.rate_limit import RateLimit
from gateway.backend import turns
from gateway.backend.services import Backend
from gateway.contract.bodies import TalkQuery
from gateway.contract.parameters import single
from gateway.contract.problems import validated, visible_error
from gateway.decoding.decoder import Decoder
from gateway.live.audio_bundler import AudioBundler
from gateway.live.audio_reader import reading
from gateway.live.client import LineClient
from gateway.live.resumable_stream import ResumableStream
from gateway.live.uplink import Uplink
from gateway.server.drain import Drain
from gateway.server.sockets import close_with, offered
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason

PATH = "/api/digital-human/talk"


class DuplexRoutes:
    """Holds a conversation over each line until its client leaves, or the gateway shuts down."""

    def __init__(
        self, *, backend: Backend, decoder: Decoder, rate: RateLimit, drain: Drain
    ) -> None:
        self._backend = backend
        self._decoder = decoder
        self._rate = rate
        self._drain = drain

    def router(self) -> APIRouter:
        """Return the endpoint."""
        router = APIRouter()
        # Plain routes: FastAPI's own keep per-call state for as long as the line is open.
        router.add_websocket_route(PATH, self.talk)
        router.add_route(PATH, self.not_upgraded, methods=["GET"])
        router.add_websocket_route("/{path:path}", self.not_found)
        return router

    async def talk(self, socket: WebSocket) -> None:
        """Hold a conversation."""
        await socket.accept(subprotocol=offered(socket.scope))
        try:
            with self._drain.socket():
                await self._converse(socket)
                if socket.client_state is WebSocketState.CONNECTED:
                    await socket.close()
        except (WebSocketDisconnect, WebSocketDisconnected):
            return
        except Exception as error:
            await close_with(visible_error(error), socket.scope, socket.send)

    async def not_upgraded(self, request: Request) -> Response:
        """Refuse a plain request, such as a proxy makes of a WebSocket's."""
        raise ServiceError(
            Reason.ROUTE_NOT_FOUND,
            "This address takes WebSockets. A proxy before it has to pass `Upgrade` on.",
        )

    async def not_found(self, socket: WebSocket) -> None:
        """Refuse a WebSocket at any other address."""
        await socket.accept(subprotocol=offered(socket.scope))
        error = ServiceError(Reason.ROUTE_NOT_FOUND, "There is no WebSocket at this address.")
        await close_with(error, socket.scope, socket.send)

    async def _converse(self, socket: WebSocket) -> None:
        """Run the conversation until the client leaves; raises the error to close with."""
        query = validated(TalkQuery.model_validate, single(socket.query_params))
        is_manual = query.turn_detection == "MANUAL"
        uplink = Uplink(keeps_utterances=is_manual)
        setup = turns.setup(
            query.task_id,
            query.lang,
            turn_detection=pb.TURN_DETECTION_MANUAL if is_manual else pb.TURN_DETECTION_SERVER,
            after=query.after,
        )
        bundler = AudioBundler(uplink.add_audio, ends_by_silence=not is_manual)
        with reading(query.audio, bundler, self._decoder) as reader:
            client = LineClient(
                socket,
                uplink=uplink,
                bundler=bundler,
                reader=reader,
                rate=self._rate,
                is_manual=is_manual,
            )
            await _first(
                self._drain.begun(),
                client.receive_all(),
                client.send_all(ResumableStream(self._backend, setup=setup)),
            )


async def _first(*works: Coroutine[Any, Any, None]) -> None:
    """Run all until the first is done, and cancel the others; raises what that one raised."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
