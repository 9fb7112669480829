"""A gateway before a real speech service, and clients that hold its socket."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from gateway.app import GatewayOptions, create_app
from gateway.backend.services import Targets, connecting
from gateway.decoding.decoder import decoding
from gateway.middleware.access import AccessRules
from gateway.server.drain import Drain
from gateway.server.send_timeout import SEND_TIMEOUT_S
from gateway.server.serving import serving
from tests.support.fake_tasks import TASK_ID
from tests.support.metrics import sample
from tests.support.speech_rig import SpeechRig

ABNORMAL_CLOSURE = 1006
PATH = "/api/digital-human/talk"


@asynccontextmanager
async def gateway_before(
    rig: SpeechRig,
    *,
    speech: str = "",
    keys: tuple[str, ...] = (),
    send_timeout_s: float = SEND_TIMEOUT_S,
    **given: Any,
) -> AsyncIterator[str]:
    """Serve; gives the address of the sockets. `speech` is another way to the speech service.

    What else is given are options of the gateway.
    """
    rules = AccessRules(is_open=not keys, origins=(), requests_per_second=1000.0)
    targets = Targets(
        task=rig.neighbours_address,
        speech=speech or rig.address,
        avatar=rig.neighbours_address,
    )
    drain = Drain()
    options = GatewayOptions(access=rules, keys=keys, **given)
    async with (
        connecting(targets, service_token=None) as backend,
        decoding(options.audio) as decoder,
    ):
        app = create_app(backend=backend, decoder=decoder, options=options, drain=drain)
        async with serving(
            app, host="127.0.0.1", port=0, drain=drain, send_timeout_s=send_timeout_s
        ) as url:
            yield f"ws{url.removeprefix('http')}"


@dataclass(slots=True)
class Caller:
    """One client; `events` are those with a sequence, in the order they came."""

    connection: ClientConnection
    ready: dict[str, Any] = field(default_factory=dict)
    interludes: list[str] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    problem: dict[str, Any] | None = None
    code: int | None = None

    async def send(self, **message: Any) -> None:
        """Send a control."""
        await self.connection.send(json.dumps(message))

    async def speak(self, pcm: bytes) -> None:
        """Send audio in messages of 20 ms, as fast as they are taken."""
        for at in range(0, len(pcm), 640):
            await self.connection.send(pcm[at : at + 640])

    async def until(self, name: str) -> dict[str, Any]:
        """Read until an event of this name; return its data."""
        async with asyncio.timeout(60):
            while True:
                told = await self.read()
                assert told is not None, f"closed before {name}: {self.problem}"
                if told.get("event") == name:
                    return told["data"]

    async def closed(self) -> int:
        """Read to the end; return the code."""
        async with asyncio.timeout(60):
            while await self.read() is not None:
                pass
        assert self.code is not None
        return self.code

    async def read(self) -> dict[str, Any] | None:
        """Return the next message; None at the end."""
        try:
            told: dict[str, Any] = json.loads(await self.connection.recv())
        except ConnectionClosed as error:
            self.code = error.rcvd.code if error.rcvd is not None else ABNORMAL_CLOSURE
            return None
        if "problem" in told:
            self.problem = told["problem"]
        elif "sequence" in told:
            self.events.append(told)
        elif told["event"] == "ready":
            self.ready = told["data"]
        else:
            self.interludes.append(told["event"])
        return told


def address(url: str, **query: Any) -> str:
    """Return the address of the task's line."""
    given = {"taskId": TASK_ID} | query
    words = "&".join(f"{name}={value}" for name, value in given.items() if value is not None)
    return f"{url}{PATH}?{words}"


@asynccontextmanager
async def calling(
    url: str, *, headers: dict[str, str] | None = None, **query: Any
) -> AsyncIterator[Caller]:
    """A client of the task, which leaves at the end if it is still there."""
    async with connect(
        address(url, **query),
        additional_headers=headers,
        compression=None,
        # One whose queue is full when it leaves would not see that it is let go.
        max_queue=None,
    ) as connection:
        yield Caller(connection)


@asynccontextmanager
async def ignoring(url: str, **query: Any) -> AsyncIterator[Caller]:
    """A client whose system takes hardly more than it reads."""
    way = urlsplit(url)
    with socket.socket() as small:
        small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        small.setblocking(False)
        await asyncio.get_running_loop().sock_connect(small, (way.hostname, way.port))
        async with connect(
            address(url, **query), sock=small, max_queue=1, compression=None
        ) as connection:
            yield Caller(connection)


async def until_none(gauge: str) -> None:
    """Wait until nothing of a kind is there any more, by its metric."""
    async with asyncio.timeout(60):
        while sample(gauge):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
