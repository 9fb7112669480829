"""What a viewer needs to watch an avatar: a token for the room, and where to play from."""

import time
from dataclasses import dataclass

from services.avatar.vendor.signature import Credentials
from services.avatar.vendor.token import Mode, Privilege, generate_token


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


class Viewers:
    """Issues the passes of viewers."""

    def __init__(
        self, *, credentials: Credentials, mode: Mode, default_ttl_s: int, stage: Stage
    ) -> None:
        self.app_id = credentials.app_id
        self.stage = stage
        self._credentials = credentials
        self._mode = mode
        self._default_ttl_s = default_ttl_s

    def admit(
        self, user_id: str, *, room_id: str, publish_stream_id: str, ttl_s: int | None
    ) -> Pass:
        """Return a pass for one room, or for any if none is named; raises TokenInputError."""
        privilege = Privilege(
            room_id=room_id, stream_ids=(publish_stream_id,) if publish_stream_id else ()
        )
        now = int(time.time())  # noqa: TID251  # which the cloud compares with its own
        effective_s = self._default_ttl_s if ttl_s is None else ttl_s
        token = generate_token(
            app_id=self._credentials.app_id,
            user_id=user_id,
            secret=self._credentials.server_secret,
            effective_s=effective_s,
            now=now,
            payload=privilege.payload() if room_id else "",
            mode=self._mode,
        )
        return Pass(token=token, expire_time=now + effective_s)
