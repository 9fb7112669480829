"""Which tasks a call may name: the holder of a ticket reaches that of the ticket alone."""

from collections.abc import Iterator

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from gateway.access.principal import current_principal
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason

_NAMES = frozenset({"task_id", "task_ids"})


def require_reach(request: Message) -> None:
    """Raise ServiceError TASK_NOT_FOUND if a message names a task beyond the caller's ticket."""
    principal = current_principal()
    if not principal.ticket_id:
        return
    for task_id in _tasks_in(request):
        if task_id != principal.task_id:
            raise task_not_found(task_id)


def task_not_found(task_id: str) -> ServiceError:
    """Return the answer for a task that does not exist, or is not the caller's."""
    return ServiceError(Reason.TASK_NOT_FOUND, "There is no such task.", task_id=task_id)


def _tasks_in(message: Message) -> Iterator[str]:
    """Yield the ids of all tasks that a message names, at any depth."""
    for field, value in message.ListFields():
        values = value if field.is_repeated else (value,)
        if field.name in _NAMES and field.type == FieldDescriptor.TYPE_STRING:
            yield from values
        elif field.type == FieldDescriptor.TYPE_MESSAGE and not _is_map(field):
            for each in values:
                yield from _tasks_in(each)


def _is_map(field: FieldDescriptor) -> bool:
    entry = field.message_type
    return bool(entry is not None and entry.GetOptions().map_entry)
