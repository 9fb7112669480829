"""Audio of any usual kind as 16 kHz mono PCM, decoded in a process without secrets."""

import asyncio
import io
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from email.message import Message
from tempfile import TemporaryFile
from typing import BinaryIO, TypeVar

from gateway.contract.problems import refused
from gateway.decoding.messages import RECORDING, STREAM, TAKEN
from gateway.decoding.refusal import Fault, Refusal
from gateway.decoding.stream import LiveStream
from services.runtime.callers.caller import current_caller
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.runtime.pcm import SAMPLE_BYTES, byte_count
from services.runtime.queues.fair_slots import FairSlots

T = TypeVar("T")

RATE_HERTZ = 16_000
RAW_RATES = (16_000, 24_000)
FIELD = "audio"

# RFC 2586 has L16 big-endian.
RAW_TYPES = {"audio/pcm": "s16le", "audio/l16": "s16be"}
CONTAINER_TYPES = frozenset(
    {"application/octet-stream", "application/ogg", "video/mp4", "video/webm"}
)

ANSWER_S = 5.0
"""How much longer than the decoding itself an answer is waited for."""

ATTEMPTS = 2
"""How often a job is given to the process, which may be killed before a child takes it."""

MAX_REFUSAL_BYTES = 4_096
FAULTS = {
    Fault.INVALID: Reason.AUDIO_INVALID,
    Fault.UNSUPPORTED: Reason.AUDIO_FORMAT_UNSUPPORTED,
    Fault.TOO_LONG: Reason.AUDIO_TOO_LONG,
}

# The interpreter runs isolated (-I), so the module path is passed on.
_PROGRAM = (
    "import sys; sys.path[:] = sys.argv[2:]; from gateway.decoding.process import main; main()"
)
_PASSED_VARIABLES = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""Some Pythons do not start without these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioLimits:
    """The longest recording, the longest time to decode it, and how many are decoded at once."""

    duration_s: float = 60.0
    decode_s: float = 10.0
    concurrency: int = 2


class Decoder:
    """Decodes recordings, each in a child process of its own; used inside `decoding`."""

    def __init__(self, limits: AudioLimits) -> None:
        self._limits = limits
        self._slots = FairSlots(limits.concurrency)
        self._process: _Process | None = None
        self._starting = asyncio.Lock()

    async def warm_up(self) -> None:
        """Start the process now, so that the first recording does not wait for it."""
        await self._running()

    async def decode(self, source: BinaryIO, media_type: str, *, caller: str = "") -> bytes:
        """Return PCM of 16 kHz, mono, signed 16-bit little-endian.

        Tenants are served in turn, and so are the callers of a tenant.

        Raises ServiceError MEDIA_TYPE_UNSUPPORTED, AUDIO_INVALID, AUDIO_FORMAT_UNSUPPORTED,
        AUDIO_TOO_LONG or DEPENDENCY_UNAVAILABLE.
        """
        require_audio_type(media_type)
        size = source.seek(0, io.SEEK_END)
        if size == 0:
            raise _invalid("not_empty", "is empty")
        job = _job(media_type, size, self._limits)
        async with self._slots.place(current_caller().tenant_id, caller):
            with TemporaryFile() as file:
                recording = await asyncio.to_thread(_descriptor, source, file)
                return await self._ask(recording, job)

    @contextmanager
    def live(self) -> Iterator[LiveStream]:
        """Give a stream of WebM that is decoded as it comes, in a child process of its own."""
        stream = LiveStream(self._connect)
        try:
            yield stream
        finally:
            stream.close()

    async def close(self) -> None:
        """End the process."""
        if self._process is not None:
            await self._process.close()
            self._process = None

    async def _answer(self, recording: int, job: dict[str, object]) -> bytes:
        most_bytes = byte_count(self._limits.duration_s, RATE_HERTZ)
        return await self._given(lambda process: process.ask(recording, job, most_bytes=most_bytes))

    async def _connect(self) -> socket.socket:
        """Return the socket of a child that serves a live stream."""
        return await self._given(_Process.serve)

    async def _given(self, give: Callable[["_Process"], Awaitable[T]]) -> T:
        """Give the process a job, and if it was killed before a child took that, the next one.

        Raises ServiceError DEPENDENCY_UNAVAILABLE.
        """
        for _ in range(ATTEMPTS):
            process = await self._running()
            try:
                return await give(process)
            except OSError:
                await self._end(process)
        raise ServiceError(
            Reason.DEPENDENCY_UNAVAILABLE, "Recordings cannot be decoded at the moment."
        )

    async def _end(self, process: "_Process") -> None:
        async with self._starting:
            if self._process is process:
                await self.close()

    async def _running(self) -> "_Process":
        """Return the process; starts another when it has ended."""
        async with self._starting:
            if self._process is None or self._process.has_ended:
                await self.close()
                self._process = await _Process.start()
            return self._process

    async def _ask(self, recording: int, job: dict[str, object]) -> bytes:
        try:
            async with asyncio.timeout(self._limits.decode_s + ANSWER_S):
                answer = await self._answer(recording, job)
        except TimeoutError:
            answer = b""
        line, _, pcm = answer.partition(b"\n")
        if not line:
            # The system killed the child: it hit one of its limits, or crashed.
            raise _invalid("decodable", "is damaged, or takes too long to decode")
        if members := json.loads(line):
            raise refusal_error(Refusal.of(members))
        return pcm


class _Process:
    """The process, and the socket over which it gets its jobs."""

    def __init__(self, process: asyncio.subprocess.Process, line: socket.socket) -> None:
        self._process = process
        self._line = line

    @classmethod
    async def start(cls) -> "_Process":
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-c", _PROGRAM, str(theirs.fileno()), *sys.path),
                pass_fds=(theirs.fileno(),),
                env={name: os.environ[name] for name in _PASSED_VARIABLES if name in os.environ},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
        return cls(process, ours)

    @property
    def has_ended(self) -> bool:
        return self._process.returncode is not None

    async def ask(self, recording: int, job: dict[str, object], *, most_bytes: int) -> bytes:
        """Return the answer to a job; empty when its child was killed.

        Raises OSError when no child has taken it.
        """
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            await loop.sock_sendall(ours, json.dumps(job).encode())
            socket.send_fds(self._line, [RECORDING], [theirs.fileno(), recording])
            theirs.close()
            await _until_taken(ours)
            answer = bytearray()
            while chunk := await loop.sock_recv(ours, 65_536):
                answer += chunk
                if len(answer) > most_bytes + MAX_REFUSAL_BYTES:
                    return b""
            return bytes(answer)

    async def serve(self) -> socket.socket:
        """Return the socket of a child that serves a live stream; raises OSError if none does."""
        ours, theirs = socket.socketpair()
        try:
            ours.setblocking(False)
            with theirs:
                socket.send_fds(self._line, [STREAM], [theirs.fileno()])
            await _until_taken(ours)
        except BaseException:
            ours.close()
            raise
        return ours

    async def close(self) -> None:
        """Close the socket, which ends the process."""
        self._line.close()
        await self._process.wait()


async def _until_taken(line: socket.socket) -> None:
    """Return once a child has a job; raises OSError when the process has ended before."""
    if await asyncio.get_running_loop().sock_recv(line, len(TAKEN)) != TAKEN:
        raise ConnectionError("no child has taken the job")


@asynccontextmanager
async def decoding(limits: AudioLimits) -> AsyncIterator[Decoder]:
    """Give a decoder, whose process starts with the first recording unless it is warmed up."""
    decoder = Decoder(limits)
    try:
        yield decoder
    finally:
        await decoder.close()


def require_audio_type(media_type: str) -> None:
    """Raise ServiceError MEDIA_TYPE_UNSUPPORTED for a type that cannot hold audio."""
    kind = _parsed(media_type).get_content_type()
    if not kind.startswith("audio/") and kind not in CONTAINER_TYPES:
        raise refused(
            Reason.MEDIA_TYPE_UNSUPPORTED,
            FIELD,
            "media_type",
            "must be wav, webm, ogg, mp3, m4a, flac, caf, aiff or audio/pcm",
        )


def refusal_error(refusal: Refusal) -> ServiceError:
    """Return a refusal as the error that a client gets."""
    return refused(FAULTS[refusal.fault], FIELD, refusal.rule, refusal.description)


def _job(media_type: str, size: int, limits: AudioLimits) -> dict[str, object]:
    """Return the job for the process; raises ServiceError for unsupported raw samples."""
    parsed = _parsed(media_type)
    raw_format = RAW_TYPES.get(parsed.get_content_type(), "")
    rate = str(parsed.get_param("rate", str(RATE_HERTZ)))
    if raw_format:
        if rate not in map(str, RAW_RATES):
            raise _unsupported("rate", "raw PCM must have a rate of 16000 or 24000")
        if str(parsed.get_param("channels", "1")) != "1":
            raise _unsupported("channels", "raw PCM must be mono")
        if size % SAMPLE_BYTES:
            raise _invalid("whole_samples", "has an odd number of bytes; samples have two")
    return {
        "raw_format": raw_format,
        "rate_hertz": int(rate) if raw_format else 0,
        "longest_s": limits.duration_s,
        "within_s": limits.decode_s,
    }


def _descriptor(source: BinaryIO, file: BinaryIO) -> int:
    """Return the descriptor of the recording's file; one in memory is written to `file` first."""
    try:
        source.flush()
        return source.fileno()
    except io.UnsupportedOperation:
        source.seek(0)
        file.write(source.read())
        file.flush()
        return file.fileno()


def _parsed(media_type: str) -> Message:
    message = Message()
    message["content-type"] = media_type
    return message


def _invalid(rule: str, description: str) -> ServiceError:
    return refused(Reason.AUDIO_INVALID, FIELD, rule, description)


def _unsupported(rule: str, description: str) -> ServiceError:
    return refused(Reason.AUDIO_FORMAT_UNSUPPORTED, FIELD, rule, description)
