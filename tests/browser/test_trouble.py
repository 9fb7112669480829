"""What the page does when something goes wrong: it says so, and helps."""

import pytest
from playwright.async_api import expect

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from tests.support.browser import Browser
from tests.support.gateway_rig import running_gateway
from tests.support.gateway_script import REPLY
from tests.support.page import (
    REPLY_TIMEOUT_MS,
    ask,
    open_page,
    say_elsewhere,
    start_call,
    turns_of,
    until_resting,
    until_words_are_spoken,
)
from tests.support.proxy import proxying
from tests.support.stack import Stack

CONCURRENCY_EXCEEDED = 400000008
WITHOUT_MICROPHONE = """
navigator.mediaDevices.getUserMedia =
  () => Promise.reject(new DOMException("Requested device not found", "NotFoundError"));
"""
pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]


async def test_a_wrong_key_is_asked_for_again(browser: Browser, stack: Stack) -> None:
    async with browser.page() as page:
        await page.goto(stack.gateway_url)
        await page.get_by_label("API key").fill("wrong")
        await page.get_by_role("button", name="Use it").click()
        await expect(page.get_by_role("alert")).to_contain_text("does not know this key")
        await expect(page.get_by_label("API key")).to_be_focused()


async def test_busy_lines_can_be_tried_again(browser: Browser, stack: Stack) -> None:
    fault = {"kind": "refuse", "action": "CreateDigitalHumanStreamTask"}
    async with (
        browser.page() as page,
        stack.engine_client() as engine,
    ):
        await open_page(page, stack)
        refused = {"faults": [{**fault, "code": CONCURRENCY_EXCEEDED}]}
        (await engine.put("/faults", json=refused)).raise_for_status()
        try:
            await page.get_by_role("button", name="Call", exact=True).click()
            await expect(page.get_by_role("alert")).to_contain_text("All lines are busy")
        finally:
            (await engine.delete("/faults")).raise_for_status()
        # The avatar service believes the refusal for a while.
        is_refused = True
        while is_refused:
            async with page.expect_response("**/create-task") as created:
                await page.get_by_role("button", name="Try again").click()
            is_refused = not (await created.value).ok
        await until_resting(page)
        await expect(page.get_by_role("alert")).to_be_hidden()


async def test_without_permission_one_can_write(stack: Stack) -> None:
    async with Browser.launched(allows_microphone=False) as browser, browser.page() as page:
        await open_page(page, stack)
        await page.get_by_role("button", name="Call", exact=True).click()
        await expect(page.get_by_role("alert")).to_contain_text("microphone is not allowed")
        await page.get_by_role("button", name="Dismiss").click()
        await page.get_by_role("button", name="Use microphone").press("Enter")
        await expect(page.get_by_role("alert")).to_contain_text("microphone is not allowed")
        await ask(page, "When do you open?")
        await expect(page.locator("#captions .user")).to_have_text("When do you open?")
        await expect(page.locator("#captions .reply .word").first).to_be_visible(
            timeout=REPLY_TIMEOUT_MS
        )


async def test_without_a_microphone_one_can_write(browser: Browser) -> None:
    async with running_gateway() as gateway, browser.page() as page:
        await page.add_init_script(WITHOUT_MICROPHONE)
        await page.goto(gateway.url)
        await page.get_by_role("button", name="Call", exact=True).click()
        await expect(page.get_by_text("There is no microphone")).to_be_visible()
        await ask(page, "Hello?")
        await expect(page.locator("#captions .reply")).to_have_text(
            "We open at nine. We close at six."
        )


async def test_a_line_that_breaks_loses_and_doubles_nothing(browser: Browser, stack: Stack) -> None:
    async with proxying(stack.gateway_url) as proxy, browser.page() as page:
        task_id = await start_call(page, stack, proxy.url)
        proxy.cut()
        await expect(page.get_by_role("status")).to_contain_text("Reconnecting")
        await expect(page.get_by_role("alert")).to_contain_text("server does not answer")
        await say_elsewhere(stack, task_id, "This was said meanwhile.")
        await ask(page, "When do you open?")
        await expect(page.get_by_role("alert")).to_contain_text("Your question is asked as soon")
        proxy.mend()
        await expect(page.locator("#captions .user")).to_have_text(
            "When do you open?", timeout=REPLY_TIMEOUT_MS
        )
        await until_words_are_spoken(page)
        proxy.cut()
        proxy.mend()
        await until_resting(page)
        await expect(page.get_by_role("alert")).to_be_hidden()
        recorded = await turns_of(stack, task_id)
        assert len(recorded) == 3
        shown = page.locator("#turns > li")
        await expect(shown.locator(".user")).to_have_text(["When do you open?"])
        await expect(shown.locator(".reply")).to_have_text([turn["reply"] for turn in recorded])


async def test_a_question_that_a_breaking_line_lost_is_asked_again(browser: Browser) -> None:
    async with running_gateway() as gateway, proxying(gateway.url) as proxy, browser.page() as page:
        await page.goto(proxy.url)
        await page.get_by_role("button", name="Call", exact=True).click()
        await expect(page.get_by_role("button", name="Mute")).to_be_visible()
        proxy.up.hold()
        await ask(page, "Hello?")
        await expect(page.get_by_label("Write to")).to_be_empty()
        proxy.cut()
        proxy.mend()
        await expect(page.locator("#captions .user")).to_have_text("Hello?")
        await expect(page.locator("#captions .reply")).to_have_text(REPLY)
        assert gateway.speech.texts == ["Hello?"]


async def test_a_line_that_is_refused_can_be_opened_again(browser: Browser) -> None:
    async with running_gateway() as gateway, browser.page() as page:
        gateway.script.errors["Converse"] = ServiceError(Reason.RATE_LIMITED, "Too much at once.")
        await page.goto(gateway.url)
        await page.get_by_role("button", name="Call", exact=True).click()
        await expect(page.get_by_role("alert")).to_contain_text("All lines are busy")
        await expect(page.get_by_role("status")).to_contain_text("Cut off")
        gateway.script.errors.clear()
        await page.get_by_role("button", name="Try again").click()
        await ask(page, "Hello?")
        await expect(page.locator("#captions .reply")).to_have_text(REPLY)


async def test_a_gateway_that_is_not_there_is_told(browser: Browser) -> None:
    async with running_gateway() as gateway, browser.page() as page:
        await page.route("**/api/config", lambda route: route.abort())
        await page.goto(gateway.url)
        await expect(page.get_by_role("alert")).to_contain_text("server does not answer")
        await page.unroute("**/api/config")
        await page.get_by_role("button", name="Try again").click()
        await expect(page.get_by_role("button", name="Call", exact=True)).to_be_enabled()
