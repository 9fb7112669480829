"""Reads the body of a request, within a size and a time."""

import asyncio

from starlette.requests import Request

BODY_TIMEOUT_S = 10.0


class BodyRefused(Exception):
    """The body is too long or too slow; `status` is the HTTP status that says so."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


async def read_body(request: Request, *, limit: int) -> bytes:
    """The whole body; raises `BodyRefused` above the limit of bytes and after ten seconds."""
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
