"""A journal whose answers are lost is asked again, and nothing is recorded twice."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.task.domain.tasks import StopReason, TaskState, stopping
from services.task.patience import patient
from services.task.ports.journal import Journal
from services.task.ports.tasks import Tasks
from services.task.sqlite.storage import sqlite_storage
from tests.support.journal import GRACE, UNLIMITED, event, task
from tests.support.task import ManualClock

AWAY = ServiceError(Reason.DEPENDENCY_UNAVAILABLE, "The database does not answer.")


class Forgetful:
    """Refuses every first call, and loses the answer to every second."""

    def __init__(self, port: Any, calls: list[str]) -> None:
        self._port = port
        self._calls = calls

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        return partial(self._call, name)

    async def _call(self, name: str, *arguments: Any, **options: Any) -> Any:
        self._calls.append(name)
        made = self._calls.count(name) % 3
        if made == 1:
            raise AWAY
        result = await getattr(self._port, name)(*arguments, **options)
        if made == 2:
            raise AWAY
        return result


@pytest.fixture
def calls() -> list[str]:
    """The calls that reached the forgetful journal."""
    return []


@pytest.fixture
async def journal(tmp_path: Path, calls: list[str]) -> AsyncIterator[Journal]:
    """A forgetful journal that is asked patiently."""
    async with sqlite_storage(tmp_path / "tasks.sqlite3", ManualClock()) as storage:
        yield storage.journal.wrapped(lambda port: Forgetful(port, calls)).wrapped(patient)


async def test_each_call_has_its_effect_once(journal: Journal, calls: list[str]) -> None:
    made = await journal.tasks.add(task(1), None, UNLIMITED, replica_id="replica")
    assert made.task_id == task(1).task_id
    assert (
        await journal.conversations.append(made.task_id, [event(1), event(2)], closing_grace=GRACE)
        == 2
    )
    _, after = await journal.tasks.change(
        made.task_id, partial(stopping, reason=StopReason.REQUESTED)
    )
    assert after.state is TaskState.STOPPING
    events, _ = await journal.logs.events_after(made.task_id, 0, limit=100)
    assert [each.sequence for each in events] == [1, 2, 3, 4]
    assert {name: calls.count(name) for name in calls} == dict.fromkeys(
        ("add", "append", "change", "events_after"), 3
    )


async def test_an_answer_is_no_outage(journal: Journal, calls: list[str]) -> None:
    with pytest.raises(ServiceError) as caught:
        await journal.tasks.get("task_nobody")
    assert caught.value.reason is Reason.TASK_NOT_FOUND
    assert len(calls) == 2


async def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.task.patience.PATIENCE_S", 0.2)
    calls: list[str] = []

    class Away:
        async def get(self, task_id: str) -> None:
            calls.append(task_id)
            raise AWAY

    with pytest.raises(ServiceError) as caught:
        await patient(cast(Tasks, Away())).get("task")
    assert caught.value is AWAY
    assert len(calls) > 1
