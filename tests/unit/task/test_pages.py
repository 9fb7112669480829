"""Page tokens: what was encoded is decoded, and nothing else."""

import base64

import pytest

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.task.contract import pages
from services.task.domain.tasks import TaskState
from services.task.ports.search import TaskFilter

TASK_ID = "task_001k0xfwjqfj8d9qydsterqw8c"
ALL = TaskFilter()
MINE = TaskFilter(user_id="me", states=(TaskState.STREAMING, TaskState.STARTING))


@pytest.mark.parametrize("wanted", [ALL, MINE])
def test_a_token_leads_back_to_its_task(wanted: TaskFilter) -> None:
    token = pages.encode(TASK_ID, wanted)
    assert pages.decode(token, wanted) == TASK_ID
    assert TASK_ID not in token
    assert len(token) <= 128


def test_the_order_of_states_does_not_matter() -> None:
    token = pages.encode(TASK_ID, MINE)
    turned = TaskFilter(user_id="me", states=MINE.states[::-1])
    assert pages.decode(token, turned) == TASK_ID


@pytest.mark.parametrize(
    ("token", "wanted"),
    [
        ("not a token", ALL),
        ("日本", ALL),
        ("A", ALL),
        ("AAAA", ALL),
        (base64.urlsafe_b64encode(b"task_0.x").decode(), ALL),
        (base64.urlsafe_b64encode(f"{TASK_ID}.0".encode()).decode(), ALL),
        (pages.encode(TASK_ID, MINE), ALL),
        (pages.encode(TASK_ID, ALL) + "!", ALL),
        (pages.encode(TASK_ID, ALL)[:-4], ALL),
    ],
)
def test_another_text_is_refused_by_name(token: str, wanted: TaskFilter) -> None:
    with pytest.raises(ServiceError) as caught:
        pages.decode(token, wanted)
    assert caught.value.reason is Reason.INVALID_REQUEST
    assert [each.field for each in caught.value.violations] == ["page_token"]
