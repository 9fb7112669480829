"""A client of the engine's API, a receiver of its callbacks, and a clock to move it with."""

import asyncio
import hashlib
import io
import json
import secrets
import ssl
import time
import wave
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Self

import av
import httpx
import numpy as np
from aiortc import (
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcrtpreceiver import RemoteStreamTrack
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import Response
from websockets.asyncio.client import ClientConnection, connect

from engine.app import Engine
from engine.contract.token import Purpose, Tokens

PERSON = "parley_mia"
DEBUG_TOKEN = "debug-token-of-tests"
DEBUG = {"Authorization": f"Bearer {DEBUG_TOKEN}"}
"""The headers that open the engine's faults and recordings."""

Samples = NDArray[np.int16]
Bodies = list[dict[str, Any]]


class ManualClock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = time.time()
        self.passed = 0.0
        self._waits: dict[asyncio.Event, tuple[float, float]] = {}
        self._changed = asyncio.Condition()

    def time(self) -> float:
        return self.now + self.passed

    def monotonic(self) -> float:
        return self.passed

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        if seconds <= 0:
            return event.is_set()
        elapsed = asyncio.Event()
        self._waits[elapsed] = (self.passed + seconds, seconds)
        async with self._changed:
            self._changed.notify_all()
        both = [asyncio.create_task(each.wait()) for each in (event, elapsed)]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            del self._waits[elapsed]
            for each in both:
                each.cancel()
            await asyncio.gather(*both, return_exceptions=True)
        return event.is_set()

    def set(self, seconds: float) -> None:
        """Set the time of day forward or back without letting time pass."""
        self.now += seconds

    def advance(self, seconds: float) -> None:
        self.passed += seconds
        for elapsed, (end, _) in self._waits.items():
            if end <= self.passed:
                elapsed.set()

    async def until_someone_waits(self, seconds: float) -> None:
        """Return once somebody waits for exactly this long."""
        async with self._changed, asyncio.timeout(60):
            await self._changed.wait_for(
                lambda: any(length == seconds for _, length in self._waits.values())
            )


class Receiver:
    """Receives callbacks; answers with the statuses in `answers` first, then 200."""

    def __init__(self) -> None:
        self.url = ""
        self.bodies: list[dict[str, Any]] = []
        self.answers: list[int] = []
        self._changed = asyncio.Condition()

    async def take(self, request: Request) -> Response:
        body = json.loads(await request.body())
        async with self._changed:
            self.bodies.append(body)
            self._changed.notify_all()
        return Response(status_code=self.answers.pop(0) if self.answers else 200)

    async def until(self, condition: Callable[[Bodies], Any]) -> Any:
        """Wait until the bodies meet a condition; return its result."""
        async with self._changed, asyncio.timeout(60):
            return await self._changed.wait_for(lambda: condition(self.bodies))

    async def until_task(self, task_id: str, status: int) -> dict[str, Any]:
        found: dict[str, Any] = await self.until(
            lambda bodies: next(
                (
                    body
                    for body in bodies
                    if (body["EventType"], body["TaskId"]) == (3, task_id)
                    and body["Detail"]["Status"] == status
                ),
                None,
            )
        )
        return found

    async def until_drive(self, drive_id: str, status: int) -> dict[str, Any]:
        found: dict[str, Any] = await self.until(
            lambda bodies: next(
                (
                    body
                    for body in bodies
                    if body["Detail"].get("DriveId") == drive_id
                    and body["Detail"]["Status"] == status
                ),
                None,
            )
        )
        return found

    def task_statuses(self, task_id: str) -> list[int]:
        return [
            body["Detail"]["Status"]
            for body in self.bodies
            if (body["EventType"], body["TaskId"]) == (3, task_id)
        ]

    def drive_statuses(self, drive_id: str) -> list[int]:
        return [
            body["Detail"]["Status"]
            for body in self.bodies
            if body["Detail"].get("DriveId") == drive_id
        ]


class Cloud:
    """A client of one running engine."""

    def __init__(self, engine: Engine, http: httpx.AsyncClient, receiver: Receiver) -> None:
        self.engine = engine
        self.http = http
        self.receiver = receiver
        self.now: Callable[[], float] = time.time

    def query(self, action: str) -> dict[str, str]:
        """The signed common parameters of a call."""
        nonce, timestamp = secrets.token_hex(8), int(self.now())
        text = f"{self.engine.app_id}{nonce}{self.engine.server_secret}{timestamp}"
        return {
            "Action": action,
            "AppId": str(self.engine.app_id),
            "SignatureNonce": nonce,
            "Timestamp": str(timestamp),
            "SignatureVersion": "2.0",
            "Signature": hashlib.md5(text.encode()).hexdigest(),
        }

    async def call(self, action: str, **parameters: Any) -> dict[str, Any]:
        """The envelope of a call."""
        response = await self.http.post("/", params=self.query(action), json=parameters)
        assert response.status_code == 200
        body: dict[str, Any] = response.json()
        return body

    async def data(self, action: str, **parameters: Any) -> dict[str, Any]:
        """The Data of a call that succeeds."""
        envelope = await self.call(action, **parameters)
        assert envelope["Code"] == 0, envelope
        data: dict[str, Any] = envelope.get("Data", {})
        return data

    async def create(self, stream_id: str = "stream-1", **parameters: Any) -> str:
        """Create a task; return its id."""
        created = await self.data(
            "CreateDigitalHumanStreamTask",
            **create_parameters(stream_id=stream_id, **parameters),
        )
        return str(created["TaskId"])

    async def go_on_air(self, stream_id: str = "stream-1", **parameters: Any) -> str:
        """Create a task and wait until it streams."""
        task_id = await self.create(stream_id, **parameters)
        await self.receiver.until_task(task_id, 3)
        return task_id

    async def begin_drive(self, task_id: str) -> tuple[str, str]:
        """Call DriveByWsStream; return the drive's id and its address."""
        data = await self.data("DriveByWsStream", TaskId=task_id)
        return data["DriveId"], data["WssAddress"]

    async def play(self, task_id: str, pcm: bytes, **payload: Any) -> str:
        """Send a whole drive at once; return its id without waiting for its end."""
        drive_id, address = await self.begin_drive(task_id)
        async with open_socket(address) as socket:
            await start(socket, drive_id, **payload)
            for at in range(0, len(pcm), 4096):
                await socket.send(pcm[at : at + 4096])
            await stop(socket, drive_id)
        return drive_id

    async def recording(self, task_id: str) -> dict[str, Any]:
        response = await self.http.get(f"/recordings/{task_id}", headers=DEBUG)
        assert response.status_code == 200
        body: dict[str, Any] = response.json()
        return body

    async def drive(self, task_id: str, drive_id: str) -> dict[str, Any]:
        """Return what the recordings say about one drive."""
        drives = (await self.recording(task_id))["drives"]
        found: dict[str, Any] = next(drive for drive in drives if drive["drive_id"] == drive_id)
        return found

    async def played(self, task_id: str, drive_id: str) -> Samples:
        """The recorded samples of a drive."""
        wav = await self.http.get(f"/recordings/{task_id}/{drive_id}.wav", headers=DEBUG)
        assert wav.status_code == 200
        with wave.open(io.BytesIO(wav.content)) as file:
            return np.frombuffer(file.readframes(file.getnframes()), "<i2")

    async def post_offer(
        self,
        stream_id: str,
        offer: str | bytes,
        *,
        token: str | None = None,
        content_type: str = "application/sdp",
    ) -> httpx.Response:
        """Send a WHEP request, with a valid token unless one is given."""
        token = make_viewer_token(self.engine, now=self.now()) if token is None else token
        headers = {"Content-Type": content_type, "Authorization": f"Bearer {token}"}
        return await self.http.post(f"/whep/{stream_id}", content=offer, headers=headers)

    async def set_faults(self, *faults: dict[str, Any]) -> None:
        response = await self.http.put("/faults", json={"faults": list(faults)}, headers=DEBUG)
        assert response.status_code == 200, response.text


def create_parameters(
    *, stream_id: str = "stream-1", room_id: str = "room-1", **parameters: Any
) -> dict[str, Any]:
    return {
        "DigitalHumanConfig": {"DigitalHumanId": PERSON},
        "RTCConfig": {"RoomId": room_id, "StreamId": stream_id},
        **parameters,
    }


@asynccontextmanager
async def open_socket(address: str) -> AsyncIterator[ClientConnection]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    async with connect(address, ssl=context, compression=None, ping_interval=None) as socket:
        yield socket


async def start(socket: ClientConnection, drive_id: str, **payload: Any) -> None:
    payload = {"DriveId": drive_id, "SampleRate": 24000, **payload}
    await socket.send(json.dumps({"Action": "Start", "SequenceID": "s", "Payload": payload}))


async def stop(socket: ClientConnection, drive_id: str) -> None:
    await socket.send(json.dumps({"Action": "Stop", "Payload": {"DriveId": drive_id}}))


async def until_closed(socket: ClientConnection) -> tuple[int | None, str | None]:
    """Wait until the engine closes a connection; return the code and the reason."""
    async with asyncio.timeout(60):
        await socket.wait_closed()
    return socket.close_code, socket.close_reason


def make_tone(seconds: float, *, sample_rate: int = 24000, hertz: float = 440) -> Samples:
    at = np.arange(int(seconds * sample_rate)) / sample_rate
    return (12000 * np.sin(2 * np.pi * hertz * at)).astype("<i2")


def make_noise(samples: int) -> Samples:
    return np.random.default_rng(7).integers(-20000, 20000, samples).astype("<i2")


def make_viewer_token(
    engine: Engine,
    *,
    now: float | None = None,
    life_s: int = 600,
    secret: str | None = None,
    purpose: Purpose = Purpose.VIEWER,
    **changes: Any,
) -> str:
    """A token for a viewer of room-1; a changed claim that is None is left out."""
    issued = time.time() if now is None else now
    tokens = Tokens(
        purpose=purpose, secret=(secret or engine.server_secret).encode(), now=lambda: issued
    )
    claims = {"iss": str(engine.app_id), "sub": "viewer", "room": "room-1", **changes}
    return tokens.issue(
        {name: value for name, value in claims.items() if value is not None}, life_s=life_s
    )


class Viewer:
    """A WHEP player that receives the engine's sound and, on request, its picture."""

    def __init__(
        self, cloud: Cloud, stream_id: str, *, sees: bool = False, named: str = ""
    ) -> None:
        """`named` are candidate lines for its offer, besides its own."""
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.address = ""
        self.frames = 0
        self.pictures: list[av.VideoFrame] = []
        self._cloud = cloud
        self._stream_id = stream_id
        self._sees = sees
        self._named = named
        self._watching: asyncio.Task[None] | None = None
        self._level = 0.0
        self._changed = asyncio.Condition()
        self._listening: asyncio.Task[None] | None = None
        self.peer.on("track", self._follow)

    async def __aenter__(self) -> Self:
        self.peer.addTransceiver("audio", direction="recvonly")
        if self._sees:
            self.peer.addTransceiver("video", direction="recvonly")
        await self.peer.setLocalDescription(await self.peer.createOffer())
        offer = self.peer.localDescription.sdp + self._named
        response = await self._cloud.post_offer(self._stream_id, offer)
        assert response.status_code == 201, response.text
        self.address = response.headers["Location"]
        await self.peer.setRemoteDescription(
            RTCSessionDescription(sdp=response.text, type="answer")
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.peer.close()
        tasks = [task for task in (self._listening, self._watching) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def until_level(self, condition: Callable[[float], bool]) -> None:
        """Wait until the level (RMS of the last 20 ms) meets a condition."""
        async with self._changed, asyncio.timeout(60):
            frames = self.frames
            await self._changed.wait_for(lambda: self.frames > frames and condition(self._level))

    async def until_pictures(self, condition: Callable[[list[av.VideoFrame]], bool]) -> None:
        """Wait until the pictures seen so far meet a condition."""
        async with self._changed, asyncio.timeout(60):
            await self._changed.wait_for(lambda: condition(self.pictures))

    async def until_end(self) -> None:
        """Wait until the engine has ended the connection."""
        assert self._listening is not None
        async with asyncio.timeout(60):
            await asyncio.gather(self._listening, return_exceptions=True)

    def _follow(self, track: RemoteStreamTrack) -> None:
        if track.kind == "audio":
            self._listening = asyncio.create_task(self._hear(track))
        else:
            self._watching = asyncio.create_task(self._see(track))

    async def _see(self, track: RemoteStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            assert isinstance(frame, av.VideoFrame)
            async with self._changed:
                self.pictures.append(frame)
                self._changed.notify_all()

    async def _hear(self, track: RemoteStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            assert isinstance(frame, av.AudioFrame)
            samples = frame.to_ndarray().astype(np.float64)
            async with self._changed:
                self.frames += 1
                self._level = float(np.sqrt(np.mean(samples**2)))
                self._changed.notify_all()
