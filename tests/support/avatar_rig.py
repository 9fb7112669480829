"""An avatar service in front of a real engine, and the caller's side of its drives."""

import asyncio
import io
import json
import wave
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import grpc
import httpx
import numpy as np
import pytest
from starlette.requests import Request
from starlette.responses import Response

from digitalhuman.audio.v1 import audio_pb2
from digitalhuman.avatar.v1 import avatar_pb2 as pb
from digitalhuman.avatar.v1 import avatar_pb2_grpc
from engine.app import Engine
from services.runtime.failures.errors import ServiceError, from_rpc_error
from services.runtime.failures.reasons import Reason
from tests.support.engine_cloud import DEBUG

APP_ID = 1234567890
SERVER_SECRET = "0123456789abcdef0123456789abcdef"
CALLBACK_SECRET = "the-callback-secret"
RATE = 24_000


class Relay:
    """Forwards the engine's callbacks like the gateway."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.told: list[pb.HandleCallbackResponse] = []
        self._stub: Any = None
        self._passing = asyncio.Lock()
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def passing_to(self, stub: Any) -> AsyncIterator[None]:
        """Forward callbacks while the block is open; others are acknowledged and dropped."""
        self._stub = stub
        try:
            yield
        finally:
            async with self._passing:
                self._stub = None

    async def take(self, request: Request) -> Response:
        """Answer one callback as the gateway does."""
        body = await request.body()
        async with self._passing:
            if self._stub is None:
                return Response()
            try:
                told = await self._stub.HandleCallback(
                    pb.HandleCallbackRequest(body=body), timeout=5
                )
            except grpc.aio.AioRpcError:
                return Response(status_code=401)
        async with self._changed:
            self.bodies.append(body)
            self.told.append(told)
            self._changed.notify_all()
        return Response()

    async def until(self, condition: Callable[[dict[str, Any]], bool]) -> None:
        """Wait for an accepted callback that meets a condition."""
        async with self._changed, asyncio.timeout(60):
            await self._changed.wait_for(
                lambda: any(condition(json.loads(body)) for body in self.bodies)
            )


class Rig:
    """An avatar service and the engine behind it."""

    def __init__(
        self,
        engine: Engine,
        http: httpx.AsyncClient,
        channel: grpc.aio.Channel,
        relay: Relay,
        *,
        address: str,
    ) -> None:
        self.address = address
        self.engine = engine
        self.http = http
        self.relay = relay
        self.stub = avatar_pb2_grpc.AvatarServiceStub(channel)

    async def set_faults(self, *faults: dict[str, Any]) -> None:
        """Switch these faults of the engine on, and all others off."""
        response = await self.http.put("/faults", json={"faults": list(faults)}, headers=DEBUG)
        assert response.status_code == 200, response.text

    async def start(self, stream_id: str = "stream-1") -> str:
        """Order an avatar; return its id."""
        request = start_request(stream_id)
        return (await self.stub.StartAvatar(request, timeout=10)).avatar.avatar_id

    async def on_air(self, stream_id: str = "stream-1") -> str:
        """Order an avatar and wait until the engine reports that it streams; return its id."""
        avatar_id = await self.start(stream_id)
        await self.relay.until(
            lambda body: body["TaskId"] == avatar_id and body["Detail"].get("Status") == 3
        )
        return avatar_id

    def drive(self) -> "Speaker":
        """A Drive call."""
        return Speaker(self.stub.Drive())

    async def recorded(self, avatar_id: str) -> list[dict[str, Any]]:
        """Return the engine's report on an avatar's drives, which violated no rule."""
        response = await self.http.get(f"/recordings/{avatar_id}", headers=DEBUG)
        body = response.json()
        assert body["violations"] == []
        drives: list[dict[str, Any]] = body["drives"]
        return drives

    async def played(self, drive: dict[str, Any]) -> bytes:
        """The audio that the engine played for a recorded drive."""
        response = await self.http.get(drive["wav"], headers=DEBUG)
        with wave.open(io.BytesIO(response.content)) as file:
            return bytes(file.readframes(file.getnframes()))


class Speaker:
    """The caller's side of a Drive call; `events` has those received so far."""

    def __init__(self, call: Any) -> None:
        self.call = call
        self.events: list[pb.DriveResponse] = []

    async def setup(self, avatar_id: str, *, rate: int = RATE, turn_id: int = 1) -> None:
        audio_format = audio_pb2.AudioFormat(
            encoding=audio_pb2.AUDIO_ENCODING_PCM_S16LE, sample_rate_hertz=rate, channel_count=1
        )
        setup = pb.DriveSetup(avatar_id=avatar_id, turn_id=turn_id, format=audio_format)
        await self.call.write(pb.DriveRequest(setup=setup))

    async def audio(self, pcm: bytes, *, chunk: int = 4800) -> None:
        for at in range(0, len(pcm), chunk):
            audio = pb.DriveAudio(pcm=pcm[at : at + chunk])
            await self.call.write(pb.DriveRequest(audio=audio))

    async def finish(self) -> None:
        await self.call.write(pb.DriveRequest(finish=pb.DriveFinish()))

    async def interrupt(self) -> None:
        await self.call.write(pb.DriveRequest(interrupt=pb.DriveInterrupt()))

    async def until(self, kind: str) -> pb.DriveResponse:
        """Wait for the next event of a kind; raises the call's error."""
        event: pb.DriveResponse
        async with asyncio.timeout(60):
            async for event in self.call:
                self.events.append(event)
                if event.WhichOneof("event") == kind:
                    return event
        raise AssertionError(f"the call ended without {kind}")

    async def rest(self) -> list[str]:
        """Read the events to the end; return all their kinds."""
        async with asyncio.timeout(60):
            async for event in self.call:
                self.events.append(event)
        return [str(event.WhichOneof("event")) for event in self.events]

    async def outcome(self) -> str | Reason:
        """Read the events to the end; return the kind of the last, or the reason of the failure."""
        try:
            return (await self.rest())[-1]
        except grpc.aio.AioRpcError as error:
            return from_rpc_error(error).reason

    async def failure(self) -> ServiceError:
        """Read the events until the call fails; return its error."""
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.rest()
        return from_rpc_error(caught.value)


def start_request(stream_id: str = "stream-1", **fields: Any) -> pb.StartAvatarRequest:
    request = pb.StartAvatarRequest(room_id="room-1", stream_id=stream_id, **fields)
    request.max_duration.FromSeconds(60)
    request.max_idle_duration.FromSeconds(60)
    return request


def make_tone(seconds: float, *, rate: int = RATE) -> bytes:
    """A sine as mono PCM16."""
    at = np.arange(int(seconds * rate)) / rate
    return bytes((12000 * np.sin(2 * np.pi * 440 * at)).astype("<i2").tobytes())


OpenRig: TypeAlias = Callable[..., Awaitable[Rig]]
"""Starts a rig with settings of the test's choice."""


async def fail(call: Awaitable[Any]) -> ServiceError:
    """Return the error with which a call fails."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return from_rpc_error(caught.value)
