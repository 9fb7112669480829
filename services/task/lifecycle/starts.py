"""What the cloud says about starting avatars, without a call for each of many."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from services.runtime.failures.errors import ServiceError
from services.task.ports.cloud import Avatar, Cloud

FRESH_S = 0.2
"""How old a list may be when it is used: those who wait for it do not all wake at once."""


class Starts:
    """Looks at starting avatars; when several starts are watched, one list answers for all of them.

    The cloud takes so many calls a second of each kind: one for each avatar would use them up when
    a few start per second. Lists begin at least `list_s` apart, and one at a time. An avatar that a
    list does not show is asked for by itself.
    """

    def __init__(self, cloud: Cloud, *, list_s: float) -> None:
        self._cloud = cloud
        self._list_s = list_s
        self._watched = 0
        self._listing = asyncio.Lock()
        self._listed_at = float("-inf")
        self._listed: Mapping[str, Avatar] | ServiceError = {}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch one more start while the block is open."""
        self._watched += 1
        try:
            yield
        finally:
            self._watched -= 1

    def pause_s(self, *, alone_s: float, shortest_s: float) -> float:
        """Return how long a watch pauses before its next look: until the next list if it shares."""
        if self._watched <= 1:
            return alone_s
        return max(shortest_s, self._next_list_s())

    async def look(self, avatar_id: str) -> Avatar | None:
        """Return an avatar, or None when the cloud does not know it. Raises ServiceError."""
        if self._watched > 1:
            listed = (await self._list()).get(avatar_id)
            if listed is not None:
                return listed
        return await self._cloud.get_avatar(avatar_id)

    async def _list(self) -> Mapping[str, Avatar]:
        asked_at = _now()
        async with self._listing:
            if self._listed_at < asked_at - FRESH_S:
                await asyncio.sleep(self._next_list_s())
                # Together, so that a list that was cancelled leaves neither.
                self._listed_at, self._listed = _now(), await self._ask()
        if isinstance(self._listed, ServiceError):
            raise self._listed
        return self._listed

    async def _ask(self) -> Mapping[str, Avatar] | ServiceError:
        try:
            return {avatar.avatar_id: avatar for avatar in await self._cloud.list_avatars()}
        except ServiceError as error:
            # For everyone who shares the list: each would only ask again.
            return error

    def _next_list_s(self) -> float:
        return max(0.0, self._listed_at + self._list_s - _now())


def _now() -> float:
    return asyncio.get_running_loop().time()
