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
from services.task.sqlite.storage import sqlite_storage
from tests.support.journal import GRACE, UNLIMITED, event, task
from tests.support.task import ManualClock

AWAY = ServiceError(Reason.DEPENDENCY_UNAVAILABLE, "The database does not answer.")


class Forgetful:
    """Refuses every first call, and loses the answer to every second."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        return partial(self._call, name)

    async def _call(self, name: str, *arguments: Any, **options: Any) -> Any:
        self.calls.append(name)
        made = self.calls.count(name) % 3
        if made == 1:
            raise AWAY
        result = await getattr(self._journal, name)(*arguments, **options)
        if made == 2:
            raise AWAY
        return result


@pytest.fixture
async def forgetful(tmp_path: Path) -> AsyncIterator[Forgetful]:
    async with sqlite_storage(tmp_path / "tasks.sqlite3", ManualClock()) as storage:
        yield Forgetful(storage.journal)


async def test_each_call_has_its_effect_once(forgetful: Forgetful) -> None:
    journal = patient(cast(Journal, forgetful))
    made = await journal.add(task(1), None, UNLIMITED, replica_id="replica")
    assert made.task_id == task(1).task_id
    assert await journal.append(made.task_id, [event(1), event(2)], closing_grace=GRACE) == 2
    _, after = await journal.change(made.task_id, partial(stopping, reason=StopReason.REQUESTED))
    assert after.state is TaskState.STOPPING
    events, _ = await journal.events_after(made.task_id, 0, limit=100)
    assert [each.sequence for each in events] == [1, 2, 3, 4]
    assert {name: forgetful.calls.count(name) for name in forgetful.calls} == dict.fromkeys(
        ("add", "append", "change", "events_after"), 3
    )


async def test_an_answer_is_no_outage(forgetful: Forgetful) -> None:
    journal = patient(cast(Journal, forgetful))
    with pytest.raises(ServiceError) as caught:
        await journal.get("task_nobody")
    assert caught.value.reason is Reason.TASK_NOT_FOUND
    assert len(forgetful.calls) == 2


async def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.task.patience.PATIENCE_S", 0.2)
    calls: list[str] = []

    class Away:
        async def get(self, task_id: str) -> None:
            calls.append(task_id)
            raise AWAY

    with pytest.raises(ServiceError) as caught:
        await patient(cast(Journal, Away())).get("task")
    assert caught.value is AWAY
    assert len(calls) > 1
