"""Reads the body of a request, limited in size and time."""

import asyncio

from starlette.requests import Request

BODY_TIMEOUT_S = 10.0


class BodyRefused(Exception):
    """The body is too long or too slow; `status` is the HTTP status for it."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


async def read_body(request: Request, *, limit: int) -> bytes:
    """Return the whole body; raises `BodyRefused` beyond the limit of bytes or ten seconds."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise BodyRefused(413, f"the body has more than {limit} bytes")
    except TimeoutError:
        raise BodyRefused(408, "the body did not arrive in time") from None
    return bytes(body)
