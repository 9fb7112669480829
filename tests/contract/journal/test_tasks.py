"""Tasks: how they are added, changed, found and listed."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.task.domain.tasks import (
    Failure,
    IllegalTransition,
    StopReason,
    Task,
    TaskState,
    accepted,
    failing,
    on_air,
    refused,
    stopping,
)
from services.task.ports.journal import Journal
from services.task.ports.search import TaskFilter
from services.task.ports.tasks import REQUEST_LIFE, Quota, Request
from tests.support.journal import (
    GRACE,
    NOW,
    UNLIMITED,
    add,
    end,
    event,
    put_on_air,
    request,
    task,
)
from tests.support.task import ManualClock

FAILURE = Failure(reason=Reason.CLOUD_NO_CAPACITY, message="The cloud is full.")
MICROSECOND = timedelta(microseconds=1)


async def reason_of(call: Awaitable[object]) -> Reason:
    """Return why a call fails."""
    with pytest.raises(ServiceError) as failed:
        await call
    return failed.value.reason


async def stop(journal: Journal, first: Task, wanted: Request) -> tuple[Task, Task]:
    """Have a task stop, by a call that may be repeated."""
    change = partial(stopping, reason=StopReason.REQUESTED)
    return await journal.tasks.change(first.task_id, change, wanted)


async def test_a_task_is_kept_with_every_field(journal: Journal) -> None:
    whole = task(
        1,
        state=TaskState.STOPPING,
        digital_human_id="mia",
        persona_id="guide",
        language_code="zh",
        user_id="user",
        background_color="#102030",
        avatar_id="avatar",
        max_duration=timedelta(minutes=5, microseconds=1),
        max_idle_duration=timedelta(seconds=30, microseconds=2),
        create_time=NOW + MICROSECOND,
        claim_by=NOW + 2 * MICROSECOND,
        accept_time=NOW + 3 * MICROSECOND,
        start_time=NOW + 4 * MICROSECOND,
        stop_time=NOW + 5 * MICROSECOND,
        stop_reason=StopReason.RECONCILED,
        failure=FAILURE,
    )
    assert await journal.tasks.add(whole, None, UNLIMITED) == whole
    assert await journal.tasks.get(whole.task_id) == whole
    bare = await add(journal, 2)
    assert await journal.tasks.get(bare.task_id) == bare == task(2)


async def test_a_repeated_addition_returns_the_first_task(journal: Journal) -> None:
    first = await journal.tasks.add(task(1), request("r"), UNLIMITED)
    await put_on_air(journal, first.task_id)
    ended = await end(journal, first.task_id)
    assert await journal.tasks.add(task(2), request("r"), UNLIMITED) == ended
    assert await journal.tasks.find_created(request("r")) == ended
    assert await journal.search.page(TaskFilter(), before="", size=10) == [ended]


async def test_a_repeated_addition_needs_no_quota(journal: Journal) -> None:
    quota = Quota(running=1, running_per_user=1)
    first = await journal.tasks.add(task(1), request("r"), quota)
    assert await journal.tasks.add(task(2), request("r"), quota) == first


async def test_a_request_id_belongs_to_one_request(journal: Journal) -> None:
    first = await journal.tasks.add(task(1), request("r"), UNLIMITED)
    other = request("r", "other content")
    assert await reason_of(journal.tasks.add(task(2), other, UNLIMITED)) is Reason.REQUEST_ID_REUSED
    assert await reason_of(journal.tasks.find_created(other)) is Reason.REQUEST_ID_REUSED
    assert await reason_of(stop(journal, first, other)) is Reason.REQUEST_ID_REUSED
    assert await journal.search.live() == [first]


@pytest.mark.parametrize("name", ["r", None])
async def test_a_request_that_created_nothing_finds_nothing(
    journal: Journal, name: str | None
) -> None:
    await journal.tasks.add(task(1), request("another"), UNLIMITED)
    wanted = request(name) if name else None
    assert await reason_of(journal.tasks.find_created(wanted)) is Reason.TASK_NOT_FOUND


async def test_a_stream_belongs_to_one_live_task(journal: Journal) -> None:
    first = await add(journal, 1, stream_id="stream")
    second = task(2, stream_id="stream", room_id="another room")
    assert await reason_of(journal.tasks.add(second, None, UNLIMITED)) is Reason.STREAM_IN_USE
    await end(journal, first.task_id)
    assert await journal.tasks.add(second, None, UNLIMITED) == second


async def test_the_quota_counts_live_tasks(journal: Journal) -> None:
    quota = Quota(running=3, running_per_user=2)
    own = [await journal.tasks.add(task(n, user_id="user"), None, quota) for n in (1, 2)]
    third_of_user = task(3, user_id="user")
    assert await reason_of(journal.tasks.add(third_of_user, None, quota)) is Reason.QUOTA_EXCEEDED
    unnamed = await journal.tasks.add(task(4), None, quota)
    one_more = task(5, user_id="another")
    assert await reason_of(journal.tasks.add(one_more, None, quota)) is Reason.CAPACITY_EXCEEDED
    assert await journal.search.live() == [*own, unnamed]
    await end(journal, own[0].task_id)
    assert await journal.tasks.add(third_of_user, None, quota) == third_of_user


@pytest.mark.parametrize(("lasting_s", "told_s"), [(20, 20), (1, 2), (1800, 60)])
async def test_a_user_with_too_many_tasks_is_told_when_the_first_ends(
    journal: Journal, lasting_s: float, told_s: float
) -> None:
    quota = Quota(running=10, running_per_user=2)
    for number, seconds in ((1, 1800), (2, lasting_s)):
        lasting = timedelta(seconds=seconds)
        await journal.tasks.add(task(number, user_id="user", max_duration=lasting), None, quota)
    with pytest.raises(ServiceError) as caught:
        await journal.tasks.add(task(3, user_id="user"), None, quota)
    assert caught.value.retry_after_s == pytest.approx(told_s, abs=5)


async def test_unnamed_users_have_no_quota_of_their_own(journal: Journal) -> None:
    quota = Quota(running=10, running_per_user=1)
    for number in (1, 2, 3):
        await journal.tasks.add(task(number), None, quota)
    assert len(await journal.search.live()) == 3


async def test_a_refused_addition_leaves_its_request_free(journal: Journal) -> None:
    refusal = journal.tasks.add(task(1), request("r"), Quota(running=0, running_per_user=1))
    assert await reason_of(refusal) is Reason.CAPACITY_EXCEEDED
    assert await reason_of(journal.tasks.find_created(request("r"))) is Reason.TASK_NOT_FOUND
    second = task(2)
    assert await journal.tasks.add(second, request("r", "other content"), UNLIMITED) == second


async def test_a_change_returns_the_task_before_and_after(journal: Journal) -> None:
    first = await add(journal, 1)
    change = partial(accepted, avatar_id="avatar", digital_human_id="mia", at=NOW)
    before, after = await journal.tasks.change(first.task_id, change)
    assert (before, after) == (first, change(first))
    assert await journal.tasks.get(first.task_id) == after


async def test_a_change_that_raises_changes_nothing(journal: Journal) -> None:
    first = await add(journal, 1)
    with pytest.raises(IllegalTransition):
        await journal.tasks.change(first.task_id, partial(on_air, at=NOW), request("r"))
    assert await journal.tasks.get(first.task_id) == first
    assert (await journal.logs.snapshot(first.task_id)).last_sequence == 1
    _, after = await stop(journal, first, request("r", "other content"))
    assert after.state is TaskState.STOPPING


async def test_a_repeated_change_changes_nothing(journal: Journal) -> None:
    first = await add(journal, 1)
    _, after = await stop(journal, first, request("r"))
    again = partial(failing, failure=FAILURE)
    assert await journal.tasks.change(first.task_id, again, request("r")) == (after, after)
    assert await journal.tasks.get(first.task_id) == after


async def test_a_task_that_the_cloud_refused_frees_its_request(journal: Journal) -> None:
    first = await journal.tasks.add(task(1), request("r"), UNLIMITED)
    assert await journal.tasks.is_repeatable(first.task_id)
    await journal.tasks.change(first.task_id, partial(refused, failure=FAILURE, at=NOW))
    assert not await journal.tasks.is_repeatable(first.task_id)
    second = task(2)
    assert await journal.tasks.add(second, request("r"), UNLIMITED) == second


async def test_a_task_that_failed_later_keeps_its_request(journal: Journal) -> None:
    first = await journal.tasks.add(task(1), request("r"), UNLIMITED)
    await journal.tasks.change(
        first.task_id, partial(accepted, avatar_id="a", digital_human_id="", at=NOW)
    )
    await journal.tasks.change(first.task_id, partial(failing, failure=FAILURE))
    failed = await end(journal, first.task_id)
    assert (failed.state, failed.failure) == (TaskState.FAILED, FAILURE)
    assert await journal.tasks.add(task(2), request("r"), UNLIMITED) == failed


async def test_only_a_task_with_a_request_id_is_repeatable(journal: Journal) -> None:
    first = await add(journal, 1)
    assert not await journal.tasks.is_repeatable(first.task_id)
    assert not await journal.tasks.is_repeatable("task_unknown")


async def test_old_requests_are_forgotten(journal: Journal, clock: ManualClock) -> None:
    first = await journal.tasks.add(task(1), request("r"), UNLIMITED)
    clock.advance(REQUEST_LIFE.total_seconds() - 1)
    await journal.tasks.forget_requests()
    assert await journal.tasks.find_created(request("r")) == first
    clock.advance(2)
    assert await reason_of(journal.tasks.find_created(request("r"))) is Reason.TASK_NOT_FOUND
    second = await journal.tasks.add(task(2), request("r", "other content"), UNLIMITED)
    await journal.tasks.forget_requests()
    assert not await journal.tasks.is_repeatable(first.task_id)
    assert await journal.tasks.is_repeatable(second.task_id)


async def test_a_forgotten_request_frees_only_itself(journal: Journal, clock: ManualClock) -> None:
    first = await journal.tasks.add(task(1), request("r"), UNLIMITED)
    clock.advance(REQUEST_LIFE.total_seconds() + 1)
    await journal.tasks.forget_requests()
    assert not await journal.tasks.is_repeatable(first.task_id)
    assert await journal.tasks.get(first.task_id) == first


UNKNOWN = "task_unknown"
CALLS: dict[str, Callable[[Journal], Awaitable[object]]] = {
    "get": lambda journal: journal.tasks.get(UNKNOWN),
    "change": lambda journal: journal.tasks.change(UNKNOWN, lambda known: known),
    "snapshot": lambda journal: journal.logs.snapshot(UNKNOWN),
    "events_after": lambda journal: journal.logs.events_after(UNKNOWN, 0, limit=1),
    "append": lambda journal: journal.conversations.append(
        UNKNOWN, [event(1)], closing_grace=GRACE
    ),
    "conversation": lambda journal: journal.conversations.read(
        UNKNOWN, after_turn_id=0, after_sequence=None
    ),
    "turn": lambda journal: journal.conversations.turn(UNKNOWN, 1),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_an_unknown_task_is_not_found(
    journal: Journal, call: Callable[[Journal], Awaitable[object]]
) -> None:
    await add(journal, 1)
    assert await reason_of(call(journal)) is Reason.TASK_NOT_FOUND


async def test_the_newest_task_of_an_avatar_is_found(journal: Journal) -> None:
    await add(journal, 2, avatar_id="avatar")
    newest = await add(journal, 3, avatar_id="avatar")
    await add(journal, 1, avatar_id="avatar")
    await add(journal, 4, avatar_id="another")
    assert await journal.search.of_avatar("avatar") == newest
    assert await journal.search.of_avatar("nobody's") is None


async def test_live_tasks_are_those_not_in_a_final_state(journal: Journal) -> None:
    creating, streaming, over = [await add(journal, number) for number in (1, 2, 3)]
    streaming = await put_on_air(journal, streaming.task_id)
    await end(journal, over.task_id)
    live = await journal.search.live()
    assert {each.task_id: each for each in live} == {
        creating.task_id: creating,
        streaming.task_id: streaming,
    }
    assert len(live) == 2


async def test_tasks_of_a_stream_are_those_created_since(journal: Journal) -> None:
    made = [
        await add(journal, number, stream_id="stream", state=TaskState.STOPPED)
        for number in range(1, 5)
    ]
    await add(journal, 5, stream_id="stream", room_id="another", state=TaskState.STOPPED)
    await add(journal, 6)
    found = await journal.search.of_stream("room", "stream", since=made[1].create_time)
    assert sorted(found, key=lambda each: each.task_id) == made[2:]


async def test_pages_are_newest_first(journal: Journal) -> None:
    made = {number: await add(journal, number) for number in (2, 5, 1, 4, 3)}
    newest_first = [made[number] for number in (5, 4, 3, 2, 1)]
    wanted = TaskFilter()
    assert await journal.search.page(wanted, before="", size=10) == newest_first
    assert await journal.search.page(wanted, before="", size=2) == newest_first[:2]
    assert await journal.search.page(wanted, before=made[4].task_id, size=2) == newest_first[2:4]
    assert await journal.search.page(wanted, before=made[1].task_id, size=2) == []


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (TaskFilter(states=(TaskState.STREAMING,)), [4, 2]),
        (TaskFilter(states=(TaskState.STREAMING, TaskState.CREATING)), [4, 3, 2, 1]),
        (TaskFilter(states=(TaskState.FAILED,)), []),
        (TaskFilter(user_id="ann"), [2, 1]),
        (TaskFilter(user_id="ann", states=(TaskState.STREAMING,)), [2]),
        (TaskFilter(avatar_id="a4"), [4]),
        (TaskFilter(avatar_id="a4", user_id="ann"), []),
    ],
)
async def test_a_filter_restricts_a_page(
    journal: Journal, wanted: TaskFilter, found: list[int]
) -> None:
    for number, user, state in [
        (1, "ann", TaskState.CREATING),
        (2, "ann", TaskState.STREAMING),
        (3, "bob", TaskState.CREATING),
        (4, "bob", TaskState.STREAMING),
    ]:
        await add(journal, number, user_id=user, state=state, avatar_id=f"a{number}")
    page = await journal.search.page(wanted, before="", size=10)
    assert [each.task_id for each in page] == [task(number).task_id for number in found]


async def test_a_change_affects_no_other_task(journal: Journal) -> None:
    first = await add(journal, 1, user_id="ann")
    await add(journal, 2, user_id="bob")
    await journal.tasks.change(first.task_id, lambda known: replace(known, user_id="eve"))
    assert (await journal.tasks.get(first.task_id)).user_id == "eve"
    assert await journal.tasks.get(task(2).task_id) == task(2, user_id="bob")
