"""A user who was given a ticket talks, and the ticket stays out of every address."""

import httpx
import pytest
from playwright.async_api import expect

from tests.support.browser import Browser
from tests.support.page import REPLY_TIMEOUT_MS, created_by, turns_of, until_resting
from tests.support.stack import Stack

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]


async def test_a_ticket_in_the_fragment_opens_one_call(browser: Browser, stack: Stack) -> None:
    headers = {"Authorization": f"Bearer {stack.api_key}"}
    async with httpx.AsyncClient(base_url=stack.gateway_url, headers=headers, timeout=60) as client:
        made = await client.post("/api/digital-human/tickets", json={"userId": "ada"})
    ticket = made.raise_for_status().json()["ticket"]
    asked: list[str] = []
    async with browser.page() as page:
        page.on("request", lambda request: asked.append(request.url))
        page.on("websocket", lambda line: asked.append(line.url))
        await page.goto(f"{stack.gateway_url}#ticket={ticket}")
        call = page.get_by_role("button", name="Call", exact=True)
        await expect(call).to_be_enabled()
        assert ticket not in page.url
        task_id = await created_by(page, call.click())
        await expect(page.locator("#captions .reply")).to_be_visible(timeout=REPLY_TIMEOUT_MS)
        await until_resting(page)
    assert await turns_of(stack, task_id)
    assert any(url.startswith("ws") for url in asked)
    assert not [url for url in asked if ticket in url]
