"""The cloud's webhooks: whether one is genuine and fresh, and what it says."""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any
from urllib.parse import unquote_to_bytes

from pydantic import Field, ValidationError

from services.avatar.vendor.messages import FIRST_IN_MILLISECONDS, DriveStatus, Message, TaskStatus
from services.avatar.vendor.replays import SeenSignatures

_MAX_DIGITS = 16


class _EventType(IntEnum):
    TASK = 3
    DRIVE = 4


class Refusal(StrEnum):
    """Why a callback is refused."""

    MALFORMED = "the body is not a callback"
    FOREIGN = "the callback is for another application"
    SIGNATURE = "the signature does not fit"
    STALE = "the time stamp is outside the window"
    REPLAYED = "the signature came with another body before"


class CallbackRefusedError(ValueError):
    """A callback that must not be acted on."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.value)
        self.refusal = refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCallback:
    """A stream task has changed its status; times are Unix seconds of the cloud's clock."""

    task_id: str
    event_time_s: float
    status: TaskStatus
    room_id: str
    stream_id: str
    fail_reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DriveCallback:
    """A drive has changed its status; times are Unix seconds of the cloud's clock."""

    task_id: str
    event_time_s: float
    drive_id: str
    status: DriveStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherCallback:
    """A genuine callback of a kind that is not acted on."""

    task_id: str
    event_time_s: float
    event_type: int


Callback = TaskCallback | DriveCallback | OtherCallback


class _Body(Message):
    app_id: int
    event_type: int
    nonce: str
    timestamp: str
    signature: str
    event_time: int = Field(default=0, ge=0, lt=10**_MAX_DIGITS)
    task_id: str = ""
    detail: dict[str, Any] = Field(default_factory=dict)


class _TaskDetail(Message):
    status: TaskStatus = TaskStatus.UNKNOWN
    room_id: str = ""
    stream_id: str = ""
    fail_reason: str = ""


class _DriveDetail(Message):
    drive_id: str
    status: DriveStatus


def sign_callback(*, secret: str, timestamp: str, nonce: str) -> str:
    """Return the 40 lower-case hex digits that sign a callback with this timestamp and nonce."""
    signed = b"".join(sorted(part.encode() for part in (secret, timestamp, nonce)))
    # SHA-1 is what the cloud's protocol prescribes; nothing else relies on it.
    return hashlib.sha1(signed, usedforsecurity=False).hexdigest()


class CallbackVerifier:
    """Accepts callbacks that are genuine and fresh.

    The signature does not cover the body, so a signature is valid only for the body it first
    arrived with. That body may arrive again, since the cloud repeats what it believes lost.
    Any of the `secrets` may have signed it.
    """

    def __init__(
        self,
        *,
        app_id: int,
        secrets: Sequence[str],
        seen: SeenSignatures,
        window_s: float = 600,
    ) -> None:
        self._app_id = app_id
        self._secrets = secrets
        self._window_s = window_s
        self._seen = seen

    async def verify(self, body: bytes, *, now: float, jumped_s: float = 0.0) -> Callback:
        """Return what a callback says; `now` in Unix seconds.

        Raises CallbackRefusedError, and ServiceError while nobody can tell whether it is a replay.

        If the wall clock was set by `jumped_s` since the start, it may have been right before or
        after: a callback that is fresh by either is fresh.
        """
        callback = _parse_body(body)
        if callback.app_id != self._app_id:
            raise CallbackRefusedError(Refusal.FOREIGN)
        self._require_signature(callback)
        age_s = now - _parse_timestamp(callback.timestamp)
        if min(abs(age_s), abs(age_s + jumped_s)) > self._window_s:
            raise CallbackRefusedError(Refusal.STALE)
        report = _parse_report(callback)
        await self._require_first(callback, body, now)
        return report

    def _require_signature(self, callback: _Body) -> None:
        expected = (
            sign_callback(secret=secret, timestamp=callback.timestamp, nonce=callback.nonce)
            for secret in self._secrets
        )
        given = callback.signature.encode()
        if not any([hmac.compare_digest(each.encode(), given) for each in expected]):
            raise CallbackRefusedError(Refusal.SIGNATURE)

    async def _require_first(self, callback: _Body, body: bytes, now: float) -> None:
        """Keyed by signature, not nonce: moving digits between nonce and timestamp keeps it."""
        digest = hashlib.sha256(body).digest()
        # A callback is fresh from one window before its timestamp until one after it.
        first = await self._seen.first_digest(
            callback.signature, digest, now=now, kept_s=2 * self._window_s
        )
        if first != digest:
            raise CallbackRefusedError(Refusal.REPLAYED)


def _parse_body(body: bytes) -> _Body:
    # Sibling products of the cloud send the JSON percent-encoded.
    text = unquote_to_bytes(body) if body.lstrip()[:3].upper() == b"%7B" else body
    try:
        return _Body.model_validate_json(text)
    except ValidationError as error:
        raise CallbackRefusedError(Refusal.MALFORMED) from error


def _parse_timestamp(timestamp: str) -> float:
    """Return Unix seconds; the cloud's manual says milliseconds, its examples show seconds."""
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= _MAX_DIGITS):
        raise CallbackRefusedError(Refusal.MALFORMED)
    count = int(timestamp)
    return count / 1000 if count >= FIRST_IN_MILLISECONDS else float(count)


def _parse_report(callback: _Body) -> Callback:
    event_time_s = callback.event_time / 1000
    try:
        match callback.event_type:
            case _EventType.TASK:
                task = _TaskDetail.model_validate(callback.detail)
                return TaskCallback(
                    task_id=callback.task_id,
                    event_time_s=event_time_s,
                    status=task.status,
                    room_id=task.room_id,
                    stream_id=task.stream_id,
                    fail_reason=task.fail_reason,
                )
            case _EventType.DRIVE:
                drive = _DriveDetail.model_validate(callback.detail)
                return DriveCallback(
                    task_id=callback.task_id,
                    event_time_s=event_time_s,
                    drive_id=drive.drive_id,
                    status=drive.status,
                )
            case other:
                return OtherCallback(
                    task_id=callback.task_id, event_time_s=event_time_s, event_type=other
                )
    except ValidationError as error:
        raise CallbackRefusedError(Refusal.MALFORMED) from error
