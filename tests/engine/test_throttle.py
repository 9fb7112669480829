"""Whoever asks or fails too often waits, and nobody else does."""

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from engine.routes.door import REQUESTS
from engine.throttle import FAILURES, FAILURES_PER_SECOND, MAX_CALLERS, Throttle, caller_at
from tests.engine.conftest import OpenCloud
from tests.support.engine_cloud import Cloud, ManualClock, make_viewer_token, open_socket


@pytest.fixture
async def cloud(open_cloud: OpenCloud, clock: ManualClock) -> Cloud:
    return await open_cloud(clock=clock)


async def ask(cloud: Cloud, token: str) -> httpx.Response:
    return await cloud.post_offer("stream-1", "", token=token)


async def test_after_many_bad_tokens_not_even_a_good_one_is_looked_at(
    cloud: Cloud, clock: ManualClock
) -> None:
    good = make_viewer_token(cloud.engine)
    for _ in range(FAILURES):
        assert (await ask(cloud, "x")).status_code == 401
    refused = await ask(cloud, good)
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) >= 1
    assert refused.headers["Access-Control-Allow-Origin"] == "*"
    clock.advance(float(refused.headers["Retry-After"]))
    assert (await ask(cloud, good)).status_code == 404
    assert (await ask(cloud, "x")).status_code == 401
    assert (await ask(cloud, good)).status_code == 429


async def test_who_asks_too_often_waits(cloud: Cloud, clock: ManualClock) -> None:
    good = make_viewer_token(cloud.engine)
    for _ in range(REQUESTS):
        assert (await ask(cloud, good)).status_code == 404
    assert (await ask(cloud, good)).status_code == 429
    clock.advance(1)
    assert (await ask(cloud, good)).status_code == 404


async def test_after_many_bad_tokens_no_drive_is_opened(cloud: Cloud, clock: ManualClock) -> None:
    task_id = await cloud.go_on_air()
    _, address = await cloud.begin_drive(task_id)
    statuses = []
    for _ in range(FAILURES):
        statuses.append(await refuse(f"{address}x"))
    assert statuses == [401] * FAILURES
    assert await refuse(address) == 429
    clock.advance(1 / FAILURES_PER_SECOND)
    async with open_socket(address):
        pass


async def refuse(address: str) -> int:
    """The status with which an address is refused."""
    with pytest.raises(InvalidStatus) as refused:
        async with open_socket(address):
            pass
    return refused.value.response.status_code


def test_callers_do_not_spend_each_others_attempts() -> None:
    throttle = Throttle(ManualClock(), burst=1, per_second=1)
    throttle.count("a")
    assert not throttle.allows("a")
    assert throttle.allows("b")


def test_callers_are_not_remembered_without_end() -> None:
    throttle = Throttle(ManualClock(), burst=1, per_second=1)
    for number in range(MAX_CALLERS + 1):
        throttle.count(str(number))
    assert throttle.allows("0")
    assert not throttle.allows("1")


def test_an_ipv6_site_is_one_caller() -> None:
    assert caller_at("2001:db8::1") == caller_at("2001:db8::ffff:2")
    assert caller_at("2001:db8::1") != caller_at("2001:db8:0:1::1")
    assert caller_at("::ffff:192.0.2.1") == caller_at("192.0.2.1") != caller_at("192.0.2.2")
