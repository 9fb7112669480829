"""ListTasks: pages, filters and tokens."""

import pytest

from digitalhuman.task.v1 import task_pb2 as pb
from digitalhuman.task.v1.task_pb2_grpc import TaskServiceStub
from services.runtime.failures.reasons import Reason
from tests.support.task_calls import create, create_streaming, error_of, stop


async def page(tasks: TaskServiceStub, **fields: object) -> pb.ListTasksResponse:
    return await tasks.ListTasks(pb.ListTasksRequest(**fields))  # type: ignore[arg-type]


async def test_pages_make_up_the_whole_list_newest_first(tasks: TaskServiceStub) -> None:
    made = [(await create(tasks, f"stream-{number}")).task_id for number in range(7)]
    found: list[str] = []
    token = ""
    sizes: list[int] = []
    while token or not sizes:
        answer = await page(tasks, page_size=3, page_token=token)
        sizes.append(len(answer.tasks))
        found += [task.task_id for task in answer.tasks]
        token = answer.next_page_token
        # What is created meanwhile comes before the first page.
        await create(tasks, f"later-{len(sizes)}")
    assert sizes == [3, 3, 1]
    assert found == made[::-1]


async def test_a_full_last_page_has_no_token(tasks: TaskServiceStub) -> None:
    for number in range(3):
        await create(tasks, f"stream-{number}")
    assert (await page(tasks, page_size=3)).next_page_token == ""
    assert len((await page(tasks)).tasks) == 3


async def test_filters_restrict(tasks: TaskServiceStub) -> None:
    ann = await create_streaming(tasks, "one", user_id="ann")
    bob = await create_streaming(tasks, "two", user_id="bob")
    await stop(tasks, ann.task_id)

    async def found(**fields: object) -> list[str]:
        return [task.task_id for task in (await page(tasks, **fields)).tasks]

    assert await found() == [bob.task_id, ann.task_id]
    assert await found(user_id="ann") == [ann.task_id]
    assert await found(avatar_id=bob.avatar_id) == [bob.task_id]
    assert await found(states=[pb.TASK_STATE_STOPPED]) == [ann.task_id]
    assert await found(states=[pb.TASK_STATE_STOPPED], user_id="bob") == []
    both = [pb.TASK_STATE_STOPPED, pb.TASK_STATE_STREAMING]
    assert await found(states=both) == [bob.task_id, ann.task_id]
    assert await found(user_id="nobody") == []


@pytest.mark.parametrize("token", ["x", "AAAA", "../..", "%00", "é"])
async def test_a_bad_token_is_named(tasks: TaskServiceStub, token: str) -> None:
    error = await error_of(page(tasks, page_token=token))
    assert error.reason is Reason.INVALID_REQUEST
    assert [each.field for each in error.violations] == ["page_token"]


async def test_a_token_serves_its_own_filter_only(tasks: TaskServiceStub) -> None:
    for number in range(2):
        await create(tasks, f"stream-{number}", user_id="ann")
    token = (await page(tasks, page_size=1, user_id="ann")).next_page_token
    assert len((await page(tasks, page_size=1, user_id="ann", page_token=token)).tasks) == 1
    error = await error_of(page(tasks, page_size=1, page_token=token))
    assert [each.field for each in error.violations] == ["page_token"]
