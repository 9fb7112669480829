"""Which room a viewer may enter: that of one of the caller's own tasks."""

from dataclasses import dataclass

from digitalhuman.task.v1 import task_pb2 as pb
from gateway.access.principal import Clearance, current_principal
from gateway.backend.reach import task_not_found
from gateway.backend.services import Backend
from gateway.contract.problems import refused
from services.runtime.callers.caller import current_caller
from services.runtime.callers.names import in_cloud
from services.runtime.failures.reasons import Reason

LIVE_STATES = (
    pb.TASK_STATE_CREATING,
    pb.TASK_STATE_STARTING,
    pb.TASK_STATE_STREAMING,
    pb.TASK_STATE_STOPPING,
)
_PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What a viewer sees, and what it publishes. An empty `room_id` is any room."""

    room_id: str
    stream_id: str
    publish: str


async def permitted(backend: Backend, wanted: View) -> View:
    """Return what a caller may have of a view; raises ServiceError.

    The deployment's own operators may have any room, and every other caller those of the live tasks
    that the caller has. Users publish nothing.
    """
    principal = current_principal()
    if principal.clearance is Clearance.DEPLOYMENT:
        return wanted
    if wanted.publish and principal.clearance < Clearance.SERVER:
        raise refused(
            Reason.PERMISSION_DENIED, "publish", "server", "may be asked for by servers alone"
        )
    wanted = _in_cloud(wanted)
    if principal.ticket_id:
        task = await _of_ticket(backend, principal.task_id)
        if not _shows(task, wanted):
            raise task_not_found(principal.task_id)
    else:
        task = await _of_caller(backend, wanted)
    return View(room_id=task.room_id, stream_id=task.stream_id, publish=wanted.publish)


async def _of_ticket(backend: Backend, task_id: str) -> pb.Task:
    if not task_id:
        raise task_not_found(task_id)
    return (await backend.ask(backend.task.GetTask, pb.GetTaskRequest(task_id=task_id))).task


async def _of_caller(backend: Backend, wanted: View) -> pb.Task:
    if not (wanted.room_id or wanted.stream_id):
        raise refused(
            Reason.INVALID_REQUEST, "roomId", "required", "is required with these credentials"
        )
    request = pb.ListTasksRequest(page_size=_PAGE, states=LIVE_STATES)
    while True:
        page = await backend.ask(backend.task.ListTasks, request)
        for task in page.tasks:
            if _shows(task, wanted):
                return task
        if not page.next_page_token:
            raise task_not_found("")
        request.page_token = page.next_page_token


def _shows(task: pb.Task, wanted: View) -> bool:
    """Return whether a live task is what a viewer wants to see."""
    return (
        task.state in LIVE_STATES
        and wanted.room_id in ("", task.room_id)
        and wanted.stream_id in ("", task.stream_id)
    )


def _in_cloud(wanted: View) -> View:
    """Return a view with the names as tasks have them; raises ServiceError."""
    caller = current_caller()
    return View(
        room_id=in_cloud(wanted.room_id, caller, field="room_id"),
        stream_id=in_cloud(wanted.stream_id, caller, field="stream_id"),
        publish=wanted.publish,
    )
