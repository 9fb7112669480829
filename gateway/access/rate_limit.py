"""How often something may happen, per caller."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason

MAX_CALLERS = 10_000


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float


@dataclass(slots=True)
class RateLimit:
    """A token bucket per caller; the most recent callers are remembered."""

    per_second: float
    clock: Callable[[], float] = time.monotonic
    _buckets: OrderedDict[str, _Bucket] = field(default_factory=OrderedDict)

    def take(self, caller: str) -> None:
        """Count a request; raises ServiceError RATE_LIMITED when the bucket is empty."""
        bucket = self._filled(caller)
        self._require(bucket)
        bucket.tokens -= 1

    def check(self, caller: str) -> None:
        """Raise ServiceError RATE_LIMITED when the bucket is empty; counts nothing."""
        self._require(self._filled(caller))

    def _filled(self, caller: str) -> _Bucket:
        now = self.clock()
        burst = 2 * self.per_second
        bucket = self._buckets.pop(caller, None) or _Bucket(burst, now)
        self._buckets[caller] = bucket
        if len(self._buckets) > MAX_CALLERS:
            self._buckets.popitem(last=False)
        bucket.tokens = min(burst, bucket.tokens + (now - bucket.filled_at) * self.per_second)
        bucket.filled_at = now
        return bucket

    def _require(self, bucket: _Bucket) -> None:
        if bucket.tokens < 1:
            raise ServiceError(
                Reason.RATE_LIMITED,
                "Too many requests from one caller.",
                retry_after_s=math.ceil((1 - bucket.tokens) / self.per_second),
            )
