"""The digital human greets the user of the page, once, and by itself."""

import httpx
import pytest

from tests.support.browser import Browser
from tests.support.page import GREETING, start_call, turns_of, until_resting
from tests.support.stack import Stack

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]
GREET = "/api/digital-human/greet"


async def test_the_page_is_greeted_once_it_shows_the_digital_human(
    browser: Browser, stack: Stack
) -> None:
    async with browser.page() as page:
        task_id = await start_call(page, stack)
        await page.reload()
        await until_resting(page)
        headers = {"Authorization": f"Bearer {stack.api_key}"}
        async with httpx.AsyncClient(base_url=stack.gateway_url, headers=headers) as client:
            (await client.post(GREET, json={"taskId": task_id})).raise_for_status()
        [greeting] = await turns_of(stack, task_id)
        assert (greeting["origin"], greeting["heard"]) == ("GREETING", GREETING)
