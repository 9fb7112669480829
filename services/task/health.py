"""Reports whether the service can do its work: whether the journal can be read and written."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from services.runtime.failures.errors import ServiceError
from services.runtime.serving.server import Serving

log = structlog.get_logger(__name__)

EVERY_S = 1.0


async def report_health(server: Serving, probe: Callable[[], Awaitable[None]]) -> None:
    """Probe the journal periodically and report what is found, until cancelled."""
    was_ready = True
    while True:
        await asyncio.sleep(EVERY_S)
        is_ready = await _is_usable(probe)
        if is_ready is not was_ready:
            log.warning("readiness changed", is_ready=is_ready)
            await server.report(is_ready=is_ready)
            was_ready = is_ready


async def _is_usable(probe: Callable[[], Awaitable[None]]) -> bool:
    try:
        await probe()
    except ServiceError:
        return False
    return True
