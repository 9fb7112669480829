"""What drives need: of the cloud, which the vendor's client implements, and of other replicas."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol
from uuid import UUID


class DriveLostError(Exception):
    """The connection of a drive broke; the message says how, without any address."""


class AudioSink(Protocol):
    """An open drive; the cloud plays what is sent, in order, and sends nothing back."""

    @property
    def is_open(self) -> bool:
        """Whether the cloud still accepts audio."""

    async def send(self, pcm: bytes) -> None:
        """Send whole samples; raises DriveLostError."""


class DriveOffer(Protocol):
    """A drive that the cloud has opened and that awaits its connection."""

    @property
    def drive_id(self) -> str:
        """The cloud's id of the drive."""

    def connect(
        self, *, sample_rate_hertz: int, on_lost: Callable[[], None]
    ) -> AbstractAsyncContextManager[AudioSink]:
        """Connect; leaving without an error reports to the cloud that the audio is complete.

        Entering raises ServiceError. Leaving raises DriveLostError if the connection broke.
        `on_lost` is called once, when the connection has ended for any reason.
        """


class DriveCloud(Protocol):
    """The part of the cloud that speaks; every method has its own deadline."""

    async def open_drive(self, avatar_id: str) -> DriveOffer:
        """Cut off what an avatar is saying and open a drive; raises ServiceError."""

    async def silence(self, avatar_id: str) -> None:
        """Cut off what an avatar is saying; raises ServiceError."""


class Claim(Protocol):
    """What one drive has on its avatar, until a newer drive of any replica takes it."""

    @property
    def claim_id(self) -> UUID:
        """Its own id."""

    @property
    def is_doubtful(self) -> bool:
        """Whether the avatar may have been taken without our knowing, as after a long pause."""

    async def take(self) -> None:
        """Take the avatar; on return, whoever had it no longer speaks. Never fails."""

    async def stands(self) -> bool:
        """Return whether no newer drive has taken the avatar, as far as can be known now."""


class Claims(Protocol):
    """Which replica has which avatar."""

    def new(self, avatar_id: str) -> Claim:
        """Return the claim for a new drive, yet to be taken."""

    async def holder(self, avatar_id: str) -> str | None:
        """Return the address of the other replica that had this avatar last, if it is alive."""
