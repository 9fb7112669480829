"""The cloud's rate limit over all replicas: each turn is granted by the database, by its clock."""

import asyncio
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass

from services.avatar.postgres.database import Database, DatabaseAwayError, Row
from services.avatar.vendor.actions import Action
from services.avatar.vendor.limits import (
    CALLS,
    WINDOW_S,
    ProcessRateLimits,
    RateLimitedError,
    Turn,
)

_TAKE = "SELECT turn, wait_s, is_granted FROM avatar.take_turn($1, $2, $3, $4)"
_REFUND = """
    UPDATE avatar.allowances
    SET turns = turns[:array_position(turns, $2) - 1] || turns[array_position(turns, $2) + 1:]
    WHERE action = $1 AND array_position(turns, $2) IS NOT NULL
"""
_HOLD = """
    INSERT INTO avatar.allowances AS allowance (action, held_until)
    SELECT action, extract(epoch FROM clock_timestamp()) + $2 FROM unnest($1::text[]) AS action
    ON CONFLICT (action)
    DO UPDATE SET held_until = greatest(allowance.held_until, excluded.held_until)
"""
_HELD = [action.value for action in Action if action is not Action.STOP_STREAM_TASK]


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresTurn:
    """A turn that the database has granted."""

    database: Database
    action: Action
    at: float

    async def refund(self) -> None:
        """Give it back, unless so many have followed that it no longer counts."""
        # Otherwise it comes back by itself, in about a second.
        with suppress(DatabaseAwayError):
            await self.database.ask(_REFUND, self.action, self.at)


class PostgresRateLimits:
    """The limits of all replicas; while the database is away, each grants what `alone` allows.

    A call costs one statement, which returns how long to wait, however long that is. Calls of one
    action ask one after the other: they stay in order, and leave connections for other actions.
    """

    def __init__(
        self, database: Database, *, alone: ProcessRateLimits, window_s: float = WINDOW_S
    ) -> None:
        self._database = database
        self._alone = alone
        self._window_s = window_s
        self._asking: defaultdict[Action, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._soonest: defaultdict[Action, float] = defaultdict(lambda: float("-inf"))

    async def take(self, action: Action, *, within_s: float) -> Turn:
        """Wait for the action's turn and return it."""
        now = asyncio.get_running_loop().time
        deadline = now() + within_s
        async with self._asking[action]:
            # Turns ascend: in a storm most calls need not ask to be refused.
            if self._soonest[action] > max(deadline, now()):
                raise RateLimitedError(retry_after_s=self._soonest[action] - now())
            try:
                row = await self._database.ask(
                    _TAKE, action, CALLS, self._window_s, deadline - now()
                )
            except DatabaseAwayError:
                row = None
            if row is not None:
                self._soonest[action] = now() + row["wait_s"]
        if row is None:
            return await self._alone.take(action, within_s=deadline - now())
        return await self._granted(action, row)

    async def hold(self, pause_s: float) -> None:
        """Hold back every action but stops for a while, in all replicas."""
        await self._alone.hold(pause_s)
        with suppress(DatabaseAwayError):
            await self._database.ask(_HOLD, _HELD, pause_s)

    async def _granted(self, action: Action, row: Row) -> PostgresTurn:
        if not row["is_granted"]:
            raise RateLimitedError(retry_after_s=row["wait_s"])
        await asyncio.sleep(row["wait_s"])
        return PostgresTurn(database=self._database, action=action, at=row["turn"])
