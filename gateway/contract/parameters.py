"""The parameters of an address, each given once."""

from collections import Counter

from fastapi import Request
from starlette.datastructures import QueryParams

from gateway.contract.problems import refused
from services.runtime.failures.reasons import Reason

REPEATABLE = frozenset({"state"})


def single(params: QueryParams) -> dict[str, str]:
    """Return parameters by name; raises ServiceError for one that is given more than once."""
    given = Counter(name for name, _ in params.multi_items())
    for name, times in given.items():
        if times > 1 and name not in REPEATABLE:
            raise refused(Reason.INVALID_REQUEST, name, "single", "must be given once")
    return dict(params)


async def requires_single(request: Request) -> None:
    """Refuse a parameter that is given more than once, of which only the last would be read."""
    single(request.query_params)
