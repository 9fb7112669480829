"""The cloud that runs avatars."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from services.task.domain.tasks import Task


class AvatarState(StrEnum):
    """Where an avatar is in its life, according to the cloud."""

    UNKNOWN = "UNKNOWN"
    STARTING = "STARTING"
    STREAMING = "STREAMING"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Avatar:
    """One avatar in the cloud; `fail_reason` is for operators."""

    avatar_id: str
    state: AvatarState
    room_id: str
    stream_id: str
    digital_human_id: str = ""
    fail_reason: str = ""
    create_time: datetime | None = None


class Cloud(Protocol):
    """Runs avatars. Every method has its own deadline and raises ServiceError."""

    async def start_avatar(self, task: Task) -> Avatar:
        """Order a task's avatar; the reason of an error says whether one may be running anyway."""

    async def stop_avatar(self, avatar_id: str) -> None:
        """Stop an avatar; succeeds if it is stopped or unknown."""

    async def get_avatar(self, avatar_id: str) -> Avatar | None:
        """Return an avatar, or None when the cloud does not know it."""

    async def list_avatars(self) -> Sequence[Avatar]:
        """Return all avatars of the account that are starting or on air, other users' included."""
