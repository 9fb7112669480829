"""What a viewer needs to watch an avatar: a token for the room, and where to play from."""

import time
from dataclasses import dataclass
from typing import Protocol

from services.avatar.vendor.engine_token import sign_engine_token
from services.avatar.vendor.signature import Credentials
from services.avatar.vendor.token import Mode, Privilege, check_inputs, generate_token


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """A viewer's token and when it expires, in Unix seconds."""

    token: str
    expire_time: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where avatars are watched: by WHEP below `whep_url`, else with the vendor's SDK."""

    whep_url: str | None
    express_server: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Who may enter which room, and publish which stream there; times in Unix seconds."""

    user_id: str
    room_id: str
    """Empty for any."""
    publish_stream_id: str
    now: int
    effective_s: int


class TokenFormat(Protocol):
    """The format that the verifier of the tokens reads."""

    def seal(self, entry: Entry, credentials: Credentials) -> str:
        """Return a token; raises TokenInputError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudTokens:
    """Token04, which the cloud reads."""

    mode: Mode

    def seal(self, entry: Entry, credentials: Credentials) -> str:
        """Return a token; raises TokenInputError."""
        privilege = Privilege(
            room_id=entry.room_id,
            stream_ids=(entry.publish_stream_id,) if entry.publish_stream_id else (),
        )
        return generate_token(
            app_id=credentials.app_id,
            user_id=entry.user_id,
            secret=credentials.server_secret,
            effective_s=entry.effective_s,
            now=entry.now,
            payload=privilege.payload() if entry.room_id else "",
            mode=self.mode,
        )


class EngineTokens:
    """What the engine reads; it has no room to publish to."""

    def seal(self, entry: Entry, credentials: Credentials) -> str:
        """Return a token; raises TokenInputError."""
        check_inputs(
            app_id=credentials.app_id,
            user_id=entry.user_id,
            secret=credentials.server_secret,
            effective_s=entry.effective_s,
        )
        return sign_engine_token(
            app_id=credentials.app_id,
            user_id=entry.user_id,
            room_id=entry.room_id,
            secret=credentials.server_secret,
            effective_s=entry.effective_s,
            now=entry.now,
        )


class Viewers:
    """Issues the passes of viewers."""

    def __init__(
        self,
        *,
        credentials: Credentials,
        token_format: TokenFormat,
        default_ttl_s: int,
        stage: Stage,
    ) -> None:
        self.app_id = credentials.app_id
        self.stage = stage
        self._credentials = credentials
        self._token_format = token_format
        self._default_ttl_s = default_ttl_s

    def admit(
        self, user_id: str, *, room_id: str, publish_stream_id: str, ttl_s: int | None
    ) -> Pass:
        """Return a pass for one room, or for any if none is named; raises TokenInputError."""
        entry = Entry(
            user_id=user_id,
            room_id=room_id,
            publish_stream_id=publish_stream_id,
            now=int(time.time()),  # noqa: TID251  # which the verifier compares with its own
            effective_s=self._default_ttl_s if ttl_s is None else ttl_s,
        )
        return Pass(
            token=self._token_format.seal(entry, self._credentials),
            expire_time=entry.now + entry.effective_s,
        )
