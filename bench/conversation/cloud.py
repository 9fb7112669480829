"""`python -m bench.conversation.cloud`: a cloud that only records what arrives when.

It answers the actions that the services call, whatever their signature, and accepts drives over
TLS. Times are of the machine's monotonic clock, which all processes share.
"""

import asyncio
import itertools
import json
import os
import ssl
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import trustme
import uvicorn
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from services.runtime.process import run, until_stopped

PORT = "BENCH_CLOUD_PORT"
DRIVE_PORT = "BENCH_DRIVE_PORT"
RECORDS_PATH = "/records"

_STREAMING = 3
_GONE = {"Code": 400000005, "Message": "stream task not found", "RequestId": "bench"}


@dataclass(slots=True, kw_only=True)
class Drive:
    """One drive; `arrivals` are the times and sizes of its audio."""

    drive_id: str
    opened_at: float
    rate_hertz: int = 0
    arrivals: list[tuple[float, int]] = field(default_factory=list)
    stopped_at: float | None = None


@dataclass(slots=True, kw_only=True)
class Stream:
    """One digital human on air."""

    task_id: str
    room_id: str
    stream_id: str
    drives: list[Drive] = field(default_factory=list)
    interrupts: list[float] = field(default_factory=list)


class Cloud:
    """All streams."""

    def __init__(self, drive_address: str) -> None:
        self._drive_address = drive_address
        self._streams: dict[str, Stream] = {}
        self._drives: dict[str, Drive] = {}
        self._numbers = itertools.count(1)

    def act(self, action: str, body: dict[str, Any]) -> dict[str, Any]:
        """Answer one call."""
        if action == "CreateDigitalHumanStreamTask":
            return self._create(body["RTCConfig"])
        if action == "GetDigitalHumanList":
            # An unanswered list would be asked for before every create, ten times a second at most.
            return _answer({"Total": 1, "DigitalHumans": [{"DigitalHumanId": "bench"}]})
        if action == "QueryDigitalHumanStreamTasks":
            return _answer({"TaskList": [_shown(each) for each in self._streams.values()]})
        stream = self._streams.get(body.get("TaskId", ""))
        if stream is None:
            return _GONE
        match action:
            case "GetDigitalHumanStreamTaskStatus":
                return _answer(_shown(stream))
            case "StopDigitalHumanStreamTask":
                del self._streams[stream.task_id]
            case "DriveByWsStream":
                return self._open_drive(stream)
            case "InterruptDriveTask":
                stream.interrupts.append(time.monotonic())
        return _answer(None)

    def records(self) -> dict[str, Any]:
        """Return what arrived for each stream, and forget it."""
        told = {
            stream.stream_id: {
                "interrupts": stream.interrupts,
                "drives": [
                    {
                        "opened_at": drive.opened_at,
                        "rate_hertz": drive.rate_hertz,
                        "arrivals": drive.arrivals,
                        "stopped_at": drive.stopped_at,
                    }
                    for drive in stream.drives
                ],
            }
            for stream in self._streams.values()
        }
        for stream in self._streams.values():
            stream.interrupts, stream.drives = [], []
        return told

    async def take(self, socket: ServerConnection) -> None:
        """Receive the audio of one drive."""
        drive: Drive | None = None
        try:
            async for message in socket:
                if isinstance(message, bytes):
                    if drive is not None:
                        drive.arrivals.append((time.monotonic(), len(message)))
                    continue
                command = json.loads(message)
                payload = command["Payload"]
                if command["Action"] == "Start":
                    drive = self._drives.pop(payload["DriveId"])
                    drive.rate_hertz = payload["SampleRate"]
                elif drive is not None:
                    drive.stopped_at = time.monotonic()
        except ConnectionClosed:
            pass

    def _create(self, rtc: dict[str, Any]) -> dict[str, Any]:
        task_id = f"cloud-{next(self._numbers)}"
        self._streams[task_id] = Stream(
            task_id=task_id, room_id=rtc["RoomId"], stream_id=rtc["StreamId"]
        )
        return _answer({"TaskId": task_id})

    def _open_drive(self, stream: Stream) -> dict[str, Any]:
        drive = Drive(drive_id=f"drive-{next(self._numbers)}", opened_at=time.monotonic())
        stream.drives.append(drive)
        self._drives[drive.drive_id] = drive
        return _answer({"DriveId": drive.drive_id, "WssAddress": self._drive_address})


def _answer(data: Any) -> dict[str, Any]:
    return {"Code": 0, "Message": "success", "RequestId": "bench", "Data": data}


def _shown(stream: Stream) -> dict[str, Any]:
    return {
        "TaskId": stream.task_id,
        "RoomId": stream.room_id,
        "StreamId": stream.stream_id,
        "Status": _STREAMING,
    }


Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]


def make_app(cloud: Cloud) -> Any:
    """Return the HTTP side."""

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        if scope["path"] == RECORDS_PATH:
            answer = cloud.records()
        else:
            query = parse_qs(scope["query_string"].decode())
            answer = cloud.act(query["Action"][0], json.loads(body or b"{}"))
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})

    return app


@contextmanager
def _certificate() -> Iterator[ssl.SSLContext]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued = trustme.CA().issue_cert("127.0.0.1")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "drive.pem"
        issued.private_key_and_cert_chain_pem.write_to_path(str(path))
        context.load_cert_chain(path)
    yield context


async def main() -> None:
    """Serve until a signal arrives."""
    drive_port = int(os.environ[DRIVE_PORT])
    cloud = Cloud(f"wss://127.0.0.1:{drive_port}/?Token=bench")
    config = uvicorn.Config(
        make_app(cloud),
        host="127.0.0.1",
        port=int(os.environ[PORT]),
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_keep_alive=60,
    )
    server = uvicorn.Server(config)
    with _certificate() as context:
        async with serve(cloud.take, "127.0.0.1", drive_port, ssl=context, compression=None):
            serving = asyncio.create_task(server.serve())
            await until_stopped()
            server.should_exit = True
            await serving


if __name__ == "__main__":
    run("cloud", main)
