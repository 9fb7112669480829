"""Places orders for those who call: users' own tasks, and one task per ticket."""

import uuid

from digitalhuman.access.v1 import access_pb2
from digitalhuman.task.v1 import task_pb2
from gateway.access.principal import Principal, bind_to_task, current_principal
from gateway.backend.orders import Orders
from gateway.backend.services import Backend
from gateway.contract.problems import refused
from services.runtime.failures.reasons import Reason

TICKET_NAMESPACE = uuid.UUID("0b7c1d0e-93a4-5c0e-8a39-52f3f7f3f1a6")


async def place(
    backend: Backend, orders: Orders, order: task_pb2.CreateTaskRequest
) -> task_pb2.Task:
    """Return the task of an order, which is the caller's own; raises ServiceError.

    With a ticket the first order makes the ticket's task, and the same order again is answered with
    it: whatever the client says, the request id is the ticket's own.
    """
    principal = current_principal()
    order.user_id = _own(principal, order.user_id)
    if not principal.ticket_id:
        return await orders.place(order)
    order.request_id = str(uuid.uuid5(TICKET_NAMESPACE, principal.ticket_id))
    if principal.task_id:
        return await orders.find(order)
    task = await orders.place(order)
    binding = access_pb2.BindTicketRequest(ticket_id=principal.ticket_id, task_id=task.task_id)
    bind_to_task(task.task_id)
    await backend.ask(backend.access.BindTicket, binding)
    return task


def _own(principal: Principal, user_id: str) -> str:
    """Return whose task it is: one who is limited to a user orders for that user alone."""
    if principal.user_id and user_id not in ("", principal.user_id):
        raise refused(Reason.PERMISSION_DENIED, "userId", "own", "must be the caller's own")
    return principal.user_id or user_id
