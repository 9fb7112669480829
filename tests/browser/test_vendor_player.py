"""The page on the vendor's cloud: rooms that refuse viewers, fall silent, or warn falsely."""

from collections.abc import Awaitable, Callable

import pytest
from playwright.async_api import Page, expect

from digitalhuman.task.v1 import task_pb2
from tests.support.browser import Browser
from tests.support.gateway_rig import RunningGateway, running_gateway
from tests.support.vendor_sdk import emit, end_tracks, sdk_calls, until_called, watch_by_sdk

AN_HOUR_AHEAD = """
const here = Date;
window.Date = class extends here {
  constructor(...given) { given.length ? super(...given) : super(here.now() + 3_600_000); }
  static now() { return here.now() + 3_600_000; }
};
"""
LONGER_THAN_ANY_START_MS = 25_000

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]


async def call(page: Page, gateway: RunningGateway) -> None:
    """Press Call."""
    await page.goto(gateway.url)
    await page.get_by_role("button", name="Call", exact=True).click()


async def until_on_air(page: Page) -> None:
    """Return when picture and sound are there."""
    await expect(page.get_by_role("status")).to_contain_text("Listening")


@pytest.mark.parametrize("script", [{"login": "never"}, {"playing": "never"}])
async def test_a_room_that_never_answers_ends_the_call(
    browser: Browser, script: dict[str, str]
) -> None:
    async with running_gateway() as gateway, browser.page() as page:
        await watch_by_sdk(page, gateway, **script)
        await page.clock.install()
        await call(page, gateway)
        for tries in (1, 2):
            await until_called(page, "loginRoom", count=tries)
            await page.clock.run_for(LONGER_THAN_ANY_START_MS)
        await expect(page.get_by_role("alert")).to_contain_text("the call was ended")
        await expect(page.get_by_role("button", name="Try again")).to_be_visible()
        await gateway.tasks.until(lambda tasks: len(tasks.stops) == 1)
        [stopped] = gateway.tasks.stops
        assert gateway.tasks.tasks[stopped.task_id].state == task_pb2.TASK_STATE_STOPPED
        assert (await sdk_calls(page)).count("destroyEngine") == 2
        await page.get_by_role("button", name="Try again").click()
        await gateway.tasks.until(lambda tasks: len(tasks.creates) == 2)


async def test_a_viewer_who_is_refused_is_told_at_once(browser: Browser) -> None:
    async with running_gateway() as gateway, browser.page() as page:
        await watch_by_sdk(page, gateway, login="refused")
        await call(page, gateway)
        await expect(page.get_by_role("alert")).to_contain_text("picture and sound do not come")
        await until_called(page, "loginRoom", count=2)
        assert not gateway.tasks.stops


async def test_a_wrong_clock_is_told_and_storms_nothing(browser: Browser) -> None:
    async with running_gateway() as gateway, browser.page() as page:
        await page.add_init_script(AN_HOUR_AHEAD)
        await watch_by_sdk(page, gateway, clock="wrong")
        await call(page, gateway)
        await expect(page.get_by_role("alert")).to_contain_text("clock is wrong")
        await until_called(page, "renewToken")
        # One for the call, and those that were worth a try: the next is seconds away.
        assert len(gateway.avatars.tokens) <= 3


async def test_the_sdk_reports_nothing_from_the_first_moment(browser: Browser) -> None:
    async with running_gateway() as gateway, browser.page() as page:
        await watch_by_sdk(page, gateway)
        await call(page, gateway)
        await until_on_air(page)
        calls = await sdk_calls(page)
        assert calls[:3] == ["presetLogConfig", "constructor", "loginRoom"]


async def _no_play(page: Page) -> None:
    state = {"streamID": "$stream", "state": "NO_PLAY", "errorCode": 1004099, "extendedData": ""}
    await emit(page, "playerStateUpdate", state)


async def _stream_deleted(page: Page) -> None:
    await emit(page, "roomStreamUpdate", "room", "DELETE", [{"streamID": "$stream"}])


@pytest.mark.parametrize("lose", [_no_play, _stream_deleted, end_tracks])
async def test_lost_playback_is_noticed_and_comes_back(
    browser: Browser,
    lose: Callable[[Page], Awaitable[None]],
) -> None:
    async with running_gateway() as gateway, browser.page() as page:
        await watch_by_sdk(page, gateway)
        await call(page, gateway)
        await until_on_air(page)
        await lose(page)
        await until_called(page, "startPlayingStream", count=2)
        await until_on_air(page)
        await expect(page.get_by_role("alert")).to_be_hidden()
        assert not gateway.tasks.stops


async def test_another_stream_in_the_room_is_nobodys_loss(browser: Browser) -> None:
    async with running_gateway() as gateway, browser.page() as page:
        await watch_by_sdk(page, gateway)
        await call(page, gateway)
        await until_on_air(page)
        other = {"streamID": "other", "state": "NO_PLAY", "errorCode": 0, "extendedData": ""}
        await emit(page, "playerStateUpdate", other)
        await emit(page, "roomStreamUpdate", "room", "DELETE", [{"streamID": "other"}])
        await until_on_air(page)
        assert (await sdk_calls(page)).count("constructor") == 1
