"""Page tokens of task lists: opaque to callers, valid only with the filter they were made for."""

import base64
import binascii
import hashlib

from services.runtime.errors import ServiceError, invalid
from services.task.ports import TaskFilter
from services.task.tasks import is_task_id

_SEPARATOR = "."


def encode(task_id: str, wanted: TaskFilter) -> str:
    """Return the token of the page that follows a task."""
    text = task_id + _SEPARATOR + _digest(wanted)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(token: str, wanted: TaskFilter) -> str:
    """Return the task that a page follows. Raises ServiceError with INVALID_REQUEST."""
    try:
        padded = token.encode("ascii") + b"=" * (-len(token) % 4)
        text = base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii")
    except (UnicodeError, binascii.Error):
        raise _bad_token("it is not a `next_page_token`") from None
    task_id, _, digest = text.partition(_SEPARATOR)
    if not is_task_id(task_id):
        raise _bad_token("it is not a `next_page_token`")
    if digest != _digest(wanted):
        raise _bad_token("it belongs to a list with another filter")
    return task_id


def _digest(wanted: TaskFilter) -> str:
    text = repr((sorted(wanted.states), wanted.user_id, wanted.avatar_id))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _bad_token(rule: str) -> ServiceError:
    return invalid("page_token", "page_token", rule)
