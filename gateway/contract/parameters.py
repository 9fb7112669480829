"""The parameters of an address, each given once."""

from fastapi import Request
from starlette.datastructures import QueryParams

from gateway.contract.problems import refused
from services.runtime.reasons import Reason

REPEATABLE = frozenset({"state"})


def single(params: QueryParams) -> dict[str, str]:
    """Return parameters by name; raises ServiceError for one that is given more than once."""
    for name in params:
        if name not in REPEATABLE and len(params.getlist(name)) > 1:
            raise refused(Reason.INVALID_REQUEST, name, "single", "must be given once")
    return dict(params)


async def requires_single(request: Request) -> None:
    """Refuse a parameter that is given more than once, of which only the last would be read."""
    single(request.query_params)
