"""The built widget holds a spoken call with a face, in a page of another site."""

from pathlib import Path

import httpx
import pytest
from playwright.async_api import expect

from tests.support.browser import Browser
from tests.support.page import REPLY_TIMEOUT_MS, turns_of, until_over
from tests.support.site import PERMISSIONS, Site, told, violations
from tests.support.stack import Stack

QUESTION = Path(__file__).parents[1] / "data" / "speech" / "en_kokoro_am_michael_10.wav"
# The question is asked once: nothing that follows takes longer.
PAUSE_S = 240.0

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]


async def test_a_spoken_call_under_a_strict_policy(browser: Browser, stack: Stack) -> None:
    headers = {"Authorization": f"Bearer {stack.api_key}"}
    async with httpx.AsyncClient(base_url=stack.gateway_url, headers=headers, timeout=60) as client:
        made = await client.post("/api/digital-human/tickets", json={"userId": "ada"})
        known = (await client.get("/api/config")).raise_for_status().json()
    portraits = {httpx.URL(each["avatarUrl"]) for each in known["digitalHumans"]}
    site = Site(
        gateway_url=stack.gateway_url,
        attributes={"mode": "floating", "persona": "pia", "lang": "en", "ticket-url": "/ticket"},
        hosts=[stack.engine_url, *{f"{url.scheme}://{url.netloc.decode()}" for url in portraits}],
    )
    async with browser.page(QUESTION, pause_s=PAUSE_S, permissions=PERMISSIONS) as page:
        await site.open(page, ticket=made.raise_for_status().json())
        await page.get_by_role("button", name="Talk to us").click()
        await expect(page.locator(".stage[data-picture='video']")).to_be_visible()
        # Spoken at once, so that the greeting is cut off, or there is none.
        await expect(page.locator(".question")).not_to_be_empty(timeout=REPLY_TIMEOUT_MS)
        await expect(page.locator(".reply .word").first).to_be_visible(timeout=REPLY_TIMEOUT_MS)
        # Until the reply has ended, words are elements.
        await expect(page.locator(".reply .word")).to_have_count(0, timeout=REPLY_TIMEOUT_MS)
        [turn] = [each for each in await told(page, "turn") if each["origin"] == "SPEECH"]
        assert not turn["end"]["isInterrupted"]
        assert await violations(page) == []
        [connected] = await told(page, "connected")
        assert not await told(page, "error")
        # The user goes to another page.
        await page.goto("about:blank")
        assert await until_over(stack, connected["taskId"]) == "CLIENT_GONE"
    turns = await turns_of(stack, connected["taskId"])
    [recorded] = [each for each in turns if each["origin"] == "SPEECH"]
    assert recorded["heard"] == turn["end"]["heard"]
