"""The cloud as a drive sees it: REST calls and a socket."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from services.avatar.ports import AudioSink
from services.avatar.vendor.api import CloudApi
from services.avatar.vendor.messages import OpenedDrive
from services.avatar.vendor.socket import ProxyOf, SocketPatience, drive_socket
from services.avatar.vendor.trust import SocketTrust

_OPEN_S = 5.0
_SILENCE_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorOffer:
    """A WebSocket drive that awaits its connection."""

    opened: OpenedDrive
    trust: SocketTrust
    patience: SocketPatience
    proxy_of: ProxyOf

    @property
    def drive_id(self) -> str:
        """The cloud's id of the drive."""
        return self.opened.drive_id

    @asynccontextmanager
    async def connect(
        self, *, sample_rate_hertz: int, on_lost: Callable[[], None]
    ) -> AsyncIterator[AudioSink]:
        """Connect and start; leaving without an error stops."""
        async with drive_socket(
            self.opened,
            sample_rate_hertz=sample_rate_hertz,
            trust=self.trust,
            patience=self.patience,
            proxy_of=self.proxy_of,
            on_lost=on_lost,
        ) as socket:
            yield socket


class VendorDrives:
    """Opens and silences drives, each within a fixed time."""

    def __init__(
        self, api: CloudApi, *, trust: SocketTrust, patience: SocketPatience, proxy_of: ProxyOf
    ) -> None:
        self._api = api
        self._trust = trust
        self._patience = patience
        self._proxy_of = proxy_of

    async def open_drive(self, avatar_id: str) -> VendorOffer:
        """Cut off what an avatar is saying and open a drive."""
        opened = await self._api.drive_by_ws_stream(avatar_id, within_s=_OPEN_S)
        return VendorOffer(
            opened=opened, trust=self._trust, patience=self._patience, proxy_of=self._proxy_of
        )

    async def silence(self, avatar_id: str) -> None:
        """Cut off what an avatar is saying."""
        await self._api.interrupt_drive_task(avatar_id, within_s=_SILENCE_S)
