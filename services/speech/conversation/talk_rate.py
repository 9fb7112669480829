"""How many questions a tenant asks in a minute, and how many recordings and texts it sends."""

import time
from collections import defaultdict, deque
from collections.abc import Callable

from services.runtime.callers.caller import current_caller
from services.runtime.callers.tenants import Tenants
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason

MINUTE_S = 60.0


class TalkRate:
    """Counts the questions of each tenant in all conversations of this process.

    What is counted are turns of users, once their words are known and before a reply is begun; and
    what is recognised or spoken outside of conversations.
    """

    def __init__(self, tenants: Tenants, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._tenants = tenants
        self._clock = clock
        self._asked: defaultdict[str, deque[float]] = defaultdict(deque)

    @property
    def wait_s(self) -> float:
        """How long the current caller's tenant has to wait with its next question."""
        tenant_id = current_caller().tenant_id
        limit = self._tenants.quota_of(tenant_id).questions_per_minute
        if limit is None:
            return 0.0
        asked, now = self._asked[tenant_id], self._clock()
        while asked and asked[0] <= now - MINUTE_S:
            asked.popleft()
        if len(asked) < limit:
            return 0.0
        return asked[0] + MINUTE_S - now if asked else MINUTE_S

    def take(self) -> None:
        """Count a question of the current caller's tenant.

        Raises ServiceError with TALK_RATE_EXCEEDED if it has asked as many as it may.
        """
        if wait_s := self.wait_s:
            raise ServiceError(
                Reason.TALK_RATE_EXCEEDED,
                "This tenant has asked as many questions as it may in a minute.",
                retry_after_s=wait_s,
            )
        tenant_id = current_caller().tenant_id
        if self._tenants.quota_of(tenant_id).questions_per_minute is not None:
            self._asked[tenant_id].append(self._clock())
