"""What is known of a call as the journal keeps it: the contract's message, encoded."""

from google.protobuf.message import Message

from digitalhuman.task.v1 import task_pb2 as pb
from services.runtime.failures.errors import ServiceError, invalid
from services.runtime.failures.reasons import Reason
from services.runtime.json_schema import plain_schema
from services.task.ports.tasks import Tasks


def to_call_facts(encoded: bytes) -> pb.CallFacts:
    """Return what is known of a call."""
    return pb.CallFacts.FromString(encoded)


def from_call_facts(facts: pb.CallFacts) -> bytes:
    """Return what is known of a call, encoded."""
    return facts.SerializeToString(deterministic=True)


def changed(encoded: bytes, update: pb.CallFacts) -> bytes:
    """Return what is known once the facts of an update have replaced those that there were."""
    facts: Message = to_call_facts(encoded)
    for field, _ in update.ListFields():
        facts.ClearField(field.name)
    facts.MergeFrom(update)
    return facts.SerializeToString(deterministic=True)


def check_client_tools(facts: pb.CallFacts) -> None:
    """Refuse functions of the app that cannot be distinguished, or called."""
    names: set[str] = set()
    for at, tool in enumerate(facts.client_tools.tools):
        place = f"facts.client_tools.tools[{at}]"
        if tool.name in names:
            raise invalid(f"{place}.name", "unique", f"there are two tools {tool.name}")
        names.add(tool.name)
        if tool.parameters:
            try:
                plain_schema(tool.parameters)
            except ValueError as error:
                raise invalid(
                    f"{place}.parameters", "json_schema", f"{error} (tool {tool.name})"
                ) from None


async def check_history(facts: pb.CallFacts, tasks: Tasks) -> None:
    """Refuse the history of a call that never was. Raises ServiceError."""
    task_id = facts.history.task_id
    if not task_id:
        return
    try:
        await tasks.get(task_id)
    except ServiceError as error:
        if error.reason is not Reason.TASK_NOT_FOUND:
            raise
        raise invalid("facts.history.task_id", "known", "there is no such task") from None
