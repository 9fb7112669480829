"""The sign of life that keeps what this replica holds its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog

from services.runtime.failures.errors import ServiceError
from services.task.ports.replicas import LEASE_S, Replica, Replicas

log = structlog.get_logger(__name__)

INTERVAL_S = LEASE_S / 4


@asynccontextmanager
async def kept_alive(replicas: Replicas, replica: Replica) -> AsyncIterator[None]:
    """Keep a replica alive while the block is open; what it holds is free after that.

    At the beginning it waits for a journal that is away.
    """
    await _first_sign(replicas, replica)
    beating = asyncio.create_task(_beat(replicas, replica), name="heartbeat")
    try:
        yield
    finally:
        beating.cancel()
        await asyncio.wait({beating})
        with suppress(ServiceError):
            await replicas.forget(replica.replica_id)


async def _first_sign(replicas: Replicas, replica: Replica) -> None:
    while True:
        if await _is_kept(replicas, replica):
            return
        await asyncio.sleep(INTERVAL_S)


async def _beat(replicas: Replicas, replica: Replica) -> None:
    while True:
        await asyncio.sleep(INTERVAL_S)
        await _is_kept(replicas, replica)


async def _is_kept(replicas: Replicas, replica: Replica) -> bool:
    try:
        await replicas.keep(replica)
    except ServiceError as error:
        log.warning("replica not kept alive", reason=error.reason.value)
        return False
    return True
