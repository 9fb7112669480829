"""A page that is loaded again during a call goes on with it; one that is closed ends it."""

import pytest
from playwright.async_api import expect

from tests.support.browser import Browser
from tests.support.page import (
    GREETING,
    ask,
    greet_elsewhere,
    last_turn,
    start_call,
    stop_elsewhere,
    turns_of,
    until_over,
    until_resting,
)
from tests.support.stack import Stack

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]


async def test_a_page_that_is_loaded_again_goes_on_with_its_call(
    browser: Browser, stack: Stack
) -> None:
    async with browser.page() as page:
        task_id = await start_call(page, stack)
        # The page asks for it once it shows the digital human; whoever asks again gets no other.
        await greet_elsewhere(stack, task_id)
        await ask(page, "When do you open?")
        await until_resting(page)
        asked = await last_turn(stack, task_id)
        await page.reload()
        await expect(page.locator("#turns .user")).to_have_text(["When do you open?"])
        await expect(page.locator("#turns .reply").last).to_have_text(asked["reply"])
        await until_resting(page)
        await ask(page, "Where are the restrooms?")
        await until_resting(page)
        # One greeting, and two questions: nothing was said twice, and it is the same task.
        greeting, *questions = await turns_of(stack, task_id)
        assert (greeting["origin"], greeting["heard"]) == ("GREETING", GREETING)
        assert len(questions) == 2
        await page.get_by_role("button", name="End call").click()
        assert await until_over(stack, task_id) == "REQUESTED"


async def test_a_call_that_ended_meanwhile_leads_back_to_the_lobby(
    browser: Browser, stack: Stack
) -> None:
    async with browser.page() as page:
        task_id = await start_call(page, stack)
        await page.goto("about:blank")
        await stop_elsewhere(stack, task_id)
        await page.goto(stack.gateway_url)
        await expect(page.get_by_role("alert")).to_contain_text("ended from elsewhere")
        await expect(page.get_by_role("button", name="Call", exact=True)).to_be_enabled()
