"""`@parley/widget`: bundled into a page of another site, and as a script in a frame."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import expect

from tests.clients.npm_packages import bundled, serving
from tests.support.browser import Browser
from tests.support.origins import FRAMED, SITE
from tests.support.page import GREETING, REPLY_TIMEOUT_MS, turns_of, until_over
from tests.support.site import KEEP_EVENTS, PERMISSIONS, Site, told
from tests.support.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")
PAGE = """<!doctype html><html lang="en"><title>Shop</title>
<script type="module" src="/main.js"></script>
<parley-avatar mode="inline" persona="pia" lang="en"></parley-avatar></html>"""
# Both properties are set before the element is defined.
MAIN = """
const avatar = document.querySelector("parley-avatar");
avatar.setAttribute("gateway", new URLSearchParams(location.search).get("gateway"));
avatar.credential = new URLSearchParams(location.search).get("ticket");
import("@parley/widget");
"""
NO_STORAGE = """
for (const name of ["localStorage", "sessionStorage", "indexedDB"]) {
  Object.defineProperty(window, name, { get() { throw new DOMException("", "SecurityError"); } });
}
"""


async def test_packed_installed_and_bundled(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(PAGE)
    (tmp_path / "main.js").write_text(MAIN)
    built = bundled(tmp_path, packages=["@parley/client", "@parley/widget"])
    site = Site(gateway_url=stack.gateway_url, attributes={}, hosts=[stack.engine_url])
    policy = site.policy.replace("script-src", "script-src 'self'").partition("; require")[0]
    ticket = (await ticket_of(stack))["ticket"]
    async with (
        serving(built, policy=policy),
        Browser.launched() as browser,
        browser.page(permissions=PERMISSIONS) as page,
    ):
        await page.add_init_script(KEEP_EVENTS)
        await page.goto(f"{SITE}/?gateway={stack.gateway_url}&ticket={ticket}")
        await page.get_by_role("button", name="Talk to us").click()
        await expect(page.locator(".stage[data-picture='video']")).to_be_visible(
            timeout=REPLY_TIMEOUT_MS
        )
        await expect(page.locator(".reply")).to_have_text(GREETING, timeout=REPLY_TIMEOUT_MS)
        assert await page.locator("audio").evaluate("(it) => !it.paused && it.currentTime > 0")
        # The worklet is loaded from the bundle.
        await expect(page.get_by_role("button", name="Mute")).to_be_visible()
        await page.get_by_role("button", name="End call").click()
        [connected] = await told(page, "connected")
    assert await until_over(stack, connected["taskId"]) == "REQUESTED"


async def test_in_a_frame_without_storage(stack: Stack) -> None:
    site = Site(
        gateway_url=stack.gateway_url,
        attributes={"persona": "pia", "lang": "en", "ticket-url": "/ticket"},
        hosts=[stack.engine_url],
    )
    frame = f'<iframe src="{FRAMED}" allow="{"; ".join((*PERMISSIONS, "autoplay"))}"></iframe>'
    async with Browser.launched() as browser, browser.page(permissions=PERMISSIONS) as page:
        await page.add_init_script(NO_STORAGE)
        await site.serve(page, ticket=await ticket_of(stack), origin=FRAMED)
        await page.route(
            f"{SITE}/**", lambda route: route.fulfill(body=frame, content_type="text/html")
        )
        await page.goto(SITE)
        inside = page.frame_locator("iframe")
        await inside.get_by_role("button", name="Talk to us").click()
        await expect(inside.locator(".reply")).to_have_text(GREETING, timeout=REPLY_TIMEOUT_MS)
        # Until the greeting has ended, words are elements.
        await expect(inside.locator(".reply .word")).to_have_count(0, timeout=REPLY_TIMEOUT_MS)
        await inside.get_by_role("textbox").fill("When do you open?")
        await inside.get_by_role("textbox").press("Enter")
        async with page.expect_response("**/stop-task") as stopped:
            await expect(inside.locator(".reply .word").first).to_be_visible(
                timeout=REPLY_TIMEOUT_MS
            )
            await inside.get_by_role("button", name="End call").click()
        asked = (await stopped.value).request.post_data_json
    assert asked
    task_id = asked["taskId"]
    assert await until_over(stack, task_id) == "REQUESTED"
    greeting, answer = await turns_of(stack, task_id)
    assert greeting["heard"] == GREETING
    assert answer["transcript"] == "When do you open?"


async def ticket_of(stack: Stack) -> dict[str, Any]:
    """What the site's server gets for a user."""
    headers = {"Authorization": f"Bearer {stack.api_key}"}
    async with httpx.AsyncClient(base_url=stack.gateway_url, headers=headers) as client:
        made = await client.post("/api/digital-human/tickets", json={"userId": "ada"})
    return dict(made.raise_for_status().json())
