"""Credentials that are over are forgotten, and no others."""

from datetime import timedelta

import pytest

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.task.domain.credentials import Ticket, digest_of, new_ticket_id
from services.task.ports.storage import Storage
from tests.support.task import ManualClock


async def test_expired_tickets_are_forgotten(storage: Storage, clock: ManualClock) -> None:
    credentials = storage.credentials
    short, long = [
        Ticket(
            ticket_id=new_ticket_id(clock()),
            tenant_id="acme",
            user_id="ada",
            task_id="",
            is_single_use=False,
            expire_time=clock() + timedelta(seconds=seconds),
        )
        for seconds in (10, 100)
    ]
    for ticket in (short, long):
        await credentials.add_ticket(ticket, digest_of(ticket.ticket_id))
    clock.advance(50)
    # Whoever created a task with a ticket in time may have it bound afterwards.
    await credentials.bind("acme", short.ticket_id, "task_1")
    await credentials.forget_expired()
    with pytest.raises(ServiceError) as caught:
        await credentials.bind("acme", short.ticket_id, "task_1")
    assert caught.value.reason is Reason.CREDENTIALS_INVALID
    assert await credentials.find(digest_of(long.ticket_id)) == long
