"""The order of request streams: a setup, first and once."""

from collections.abc import AsyncIterator
from typing import Literal, Protocol, TypeVar

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason


class OneofRequest(Protocol):
    """A stream request whose only content is the oneof `request`."""

    def WhichOneof(self, oneof_group: Literal["request"], /) -> str | None:
        """Return the case that is set."""


R = TypeVar("R", bound=OneofRequest)


def out_of_order(rule: str) -> ServiceError:
    """Return the error for a stream that violates its protocol."""
    return ServiceError(Reason.STREAM_ORDER, f"request: {rule}")


async def take_setup(requests: AsyncIterator[R]) -> R:
    """Return the first message; raises ServiceError if it is not the setup."""
    async for request in requests:
        if request.WhichOneof("request") == "setup":
            return request
        break
    raise out_of_order("the first message must be `setup`")


async def after_setup(requests: AsyncIterator[R]) -> AsyncIterator[R]:
    """Yield the messages after the setup; raises ServiceError at a second setup."""
    async for request in requests:
        if request.WhichOneof("request") == "setup":
            raise out_of_order("`setup` must come once")
        yield request
