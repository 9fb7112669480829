"""Looks at starting avatars: one that is alone is asked for, several share lists."""

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack

import pytest

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.task.lifecycle.starts import Starts
from services.task.ports.cloud import Avatar, AvatarState
from tests.support.task import Call, Hold, ScriptedCloud
from tests.support.virtual_time import in_virtual_time

MANY = 50


def avatars(count: int) -> Sequence[Avatar]:
    return [
        Avatar(
            avatar_id=f"avatar-{number}",
            state=AvatarState.STARTING,
            room_id="room",
            stream_id=f"stream-{number}",
        )
        for number in range(count)
    ]


class Watches:
    """Starts that are watched at once."""

    def __init__(self, count: int) -> None:
        self.cloud = ScriptedCloud()
        for avatar in avatars(count):
            self.cloud.put(avatar)
        self.starts = Starts(self.cloud, list_s=1.0)
        self._open = ExitStack()
        for _ in range(count):
            self._open.enter_context(self.starts.watching())

    async def look(self) -> Sequence[Avatar | BaseException | None]:
        looks = (self.starts.look(avatar_id) for avatar_id in list(self.cloud.running))
        return await asyncio.gather(*looks, return_exceptions=True)

    def pause_s(self) -> float:
        return self.starts.pause_s(alone_s=1.6, shortest_s=0.2)

    def end(self) -> None:
        self._open.close()


@in_virtual_time
async def test_one_that_is_alone_is_asked_for_at_its_own_pace() -> None:
    watch = Watches(1)
    assert await watch.look() == list(watch.cloud.running.values())
    assert watch.cloud.calls == {Call.GET: 1}
    assert watch.pause_s() == 1.6


@in_virtual_time
async def test_many_share_one_list_a_second() -> None:
    watch = Watches(MANY)
    for count in range(1, 4):
        assert await watch.look() == list(watch.cloud.running.values())
        assert watch.cloud.calls == {Call.LIST: count}
        assert watch.pause_s() == 1.0
        await asyncio.sleep(watch.pause_s())


@in_virtual_time
async def test_lists_are_a_second_apart_however_soon_is_looked_again() -> None:
    watch = Watches(MANY)
    loop = asyncio.get_running_loop()
    for second in range(3):
        await watch.look()
        assert loop.time() == pytest.approx(second)
        await asyncio.sleep(0.3)


@in_virtual_time
async def test_a_look_is_not_answered_by_a_list_from_before_it() -> None:
    watch = Watches(MANY)
    hold = Hold()
    watch.cloud.scripts[Call.LIST].append(hold)
    looking = asyncio.ensure_future(watch.look())
    await hold.reached.wait()
    await asyncio.sleep(2.0)
    later = asyncio.ensure_future(watch.starts.look("avatar-0"))
    await asyncio.sleep(0)
    hold.released.set()
    await asyncio.gather(looking, later)
    assert watch.cloud.calls == {Call.LIST: 2}


@in_virtual_time
async def test_one_that_the_list_does_not_show_is_asked_for() -> None:
    watch = Watches(MANY)
    assert await watch.starts.look("elsewhere") is None
    assert watch.cloud.calls == {Call.LIST: 1, Call.GET: 1}


@in_virtual_time
async def test_a_failed_list_is_failed_for_all_and_not_repeated_by_each() -> None:
    watch = Watches(MANY)
    watch.cloud.scripts[Call.LIST].append(Reason.CLOUD_UNREACHABLE)
    refusals = await watch.look()
    assert all(isinstance(each, ServiceError) for each in refusals)
    assert watch.cloud.calls == {Call.LIST: 1}
    await asyncio.sleep(watch.pause_s())
    assert await watch.look() == list(watch.cloud.running.values())


@in_virtual_time
async def test_a_list_that_is_given_up_is_made_by_the_next() -> None:
    watch = Watches(2)
    hold = Hold()
    watch.cloud.scripts[Call.LIST].append(hold)
    first = asyncio.ensure_future(watch.starts.look("avatar-0"))
    await hold.reached.wait()
    second = asyncio.ensure_future(watch.starts.look("avatar-1"))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == watch.cloud.running["avatar-1"]


@in_virtual_time
async def test_after_the_others_the_last_is_asked_for_again() -> None:
    watch = Watches(MANY)
    await watch.look()
    watch.end()
    await watch.starts.look("avatar-0")
    assert watch.cloud.calls == {Call.LIST: 1, Call.GET: 1}
