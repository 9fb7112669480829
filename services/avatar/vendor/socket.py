"""The cloud's drive WebSocket: the audio of one reply, sent within one `async with`."""

import asyncio
import json
import logging
import ssl
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
from websockets.protocol import State

from services.avatar.ports import DriveLostError
from services.avatar.vendor.messages import OpenedDrive
from services.avatar.vendor.trust import SocketTrust, UntrustedServerError
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.runtime.network.proxies import ProxyError
from services.runtime.pcm import SAMPLE_BYTES
from services.runtime.settings.values import is_loopback

ProxyOf: TypeAlias = Callable[[str], str | None]
"""Returns the proxy for a URL, None for a direct connection; raises ProxyError."""

# The library logs each request line at debug level, and that line holds the drive's token.
_SILENT = logging.Logger("drive-socket", level=logging.CRITICAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketPatience:
    """How long to wait for a drive server before it counts as dead."""

    open_s: float = 5
    send_s: float = 3
    close_s: float = 1
    ping_interval_s: float = 4
    ping_timeout_s: float = 5


class DriveSocket:
    """An open drive of mono PCM16; the cloud sends nothing back."""

    def __init__(self, connection: ClientConnection, *, send_s: float) -> None:
        self._connection = connection
        self._send_s = send_s

    @property
    def is_open(self) -> bool:
        """Whether the server still accepts audio."""
        return self._connection.state is State.OPEN

    async def send(self, pcm: bytes) -> None:
        """Send whole samples; raises DriveLostError if the server fails or accepts no more."""
        if len(pcm) % SAMPLE_BYTES:
            raise ValueError("audio must come in whole samples")
        await self._send(pcm)

    async def command(self, action: str, payload: dict[str, object]) -> None:
        """Send a control message under a fresh sequence id."""
        message = {"Action": action, "SequenceID": str(uuid.uuid4()), "Payload": payload}
        await self._send(json.dumps(message, separators=(",", ":")))

    async def _send(self, message: str | bytes) -> None:
        try:
            async with asyncio.timeout(self._send_s):
                await self._connection.send(message)
        except ConnectionClosed as error:
            raise DriveLostError("the drive server closed the connection") from error
        except TimeoutError as error:
            raise DriveLostError("the drive server takes no more audio") from error


@asynccontextmanager
async def drive_socket(
    drive: OpenedDrive,
    *,
    sample_rate_hertz: int,
    trust: SocketTrust,
    patience: SocketPatience,
    proxy_of: ProxyOf,
    on_lost: Callable[[], None],
) -> AsyncIterator[DriveSocket]:
    """Start an opened drive; leaving without an error reports to the cloud that the audio is
    complete.

    `on_lost` is called once, when the connection ends for any reason. Raises ServiceError if the
    server cannot be reached or is not trusted, DriveLostError if it fails.
    """
    connection = await _connect(drive, trust=trust, patience=patience, proxy_of=proxy_of)
    reader = asyncio.create_task(_drain(connection, on_lost))
    socket = DriveSocket(connection, send_s=patience.send_s)
    payload: dict[str, object] = {"DriveId": drive.drive_id}
    try:
        await socket.command("Start", {**payload, "SampleRate": sample_rate_hertz, "Channel": 1})
        yield socket
        await socket.command("Stop", payload)
    finally:
        await connection.close()
        await reader


class _Connect(connect):
    """A connection to exactly the server that the cloud named: no other gets its token."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Treat a redirect as a refusal."""
        return exc


async def _connect(
    drive: OpenedDrive, *, trust: SocketTrust, patience: SocketPatience, proxy_of: ProxyOf
) -> ClientConnection:
    try:
        address = urlsplit(drive.wss_address)
        host, port = address.hostname, address.port
        if host is None or port is None:
            raise _unreachable("The drive server's address names no host and port.")
        return await _Connect(
            drive.wss_address,
            ssl=_tls_for(address.scheme, host, trust),
            compression=None,
            proxy=proxy_of(drive.wss_address),
            open_timeout=patience.open_s,
            close_timeout=patience.close_s,
            ping_interval=patience.ping_interval_s,
            ping_timeout=patience.ping_timeout_s,
            logger=_SILENT,
        )
    except UntrustedServerError as error:
        raise _unreachable("Nothing vouches for the drive server.") from error
    except InvalidHandshake as error:
        raise _unreachable("The drive server refused the connection.") from error
    except TimeoutError as error:
        raise _unreachable("The drive server did not answer in time.") from error
    except ProxyError as error:
        raise _unreachable("The proxy for drive servers cannot be used.") from error
    except OSError as error:  # TLS errors are OSErrors too
        raise _unreachable("The drive server cannot be reached securely.") from error
    except (ValueError, InvalidURI):  # whose text repeats the address, with the token
        raise _unreachable("The drive server's address is malformed.") from None


def _tls_for(scheme: str, host: str, trust: SocketTrust) -> ssl.SSLContext | None:
    match scheme:
        case "wss":
            return trust.context_for(host)
        case "ws" if is_loopback(host):
            return None
        case _:
            raise _unreachable("The drive server's address is not a secure WebSocket.")


def _unreachable(message: str) -> ServiceError:
    return ServiceError(Reason.CLOUD_UNREACHABLE, message)


async def _drain(connection: ClientConnection, on_lost: Callable[[], None]) -> None:
    """Read until the end: unread messages would block pongs and so break the connection."""
    try:
        async for _ in connection:
            pass
    except ConnectionClosed:
        pass
    finally:
        on_lost()
