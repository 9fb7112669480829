"""Tasks, from the requests that create them to their final states."""

from dataclasses import dataclass
from datetime import timedelta

from services.runtime.callers.caller import DEFAULT_TENANT
from services.runtime.callers.tenants import NO_QUOTAS, Tenants
from services.task.domain.usage import Budget

REQUEST_LIFE = timedelta(hours=24)
"""How long a call may be repeated with its request id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A call that may be repeated: its id within a tenant, and a digest of its content."""

    tenant_id: str = DEFAULT_TENANT
    request_id: str
    digest: bytes


SHORTEST_WAIT_S = 2.0
LONGEST_WAIT_S = 60.0
"""Between these a caller who is over a quota is asked to wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """How many tasks may be live at once, in total and per named user, and what they may cost.

    `tenants` says the same of each tenant.
    """

    running: int
    running_per_user: int
    budget: Budget | None = None
    tenants: Tenants = NO_QUOTAS
