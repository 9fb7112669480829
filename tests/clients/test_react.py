"""`@parley/react`: its own tests, and the example bundled from the packed packages."""

import shutil
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.clients.npm_packages import CLIENTS, bundled, npm, packed, serving
from tests.support.browser import Browser
from tests.support.compose import ROOT
from tests.support.origins import SITE
from tests.support.page import GREETING, REPLY_TIMEOUT_MS, created_by, until_over
from tests.support.site import PERMISSIONS
from tests.support.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")
EXAMPLE = ROOT / "examples" / "react"
REACT = {"react": "18.3.1", "react-dom": "18.3.1"}
"""The oldest that is supported; the package's own tests have the newest."""


async def test_its_components() -> None:
    packed()
    npm("test", "--workspace", "react", folder=CLIENTS)


async def test_the_example_holds_a_call(stack: Stack, tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE / "src", tmp_path / "src")
    shutil.copy(EXAMPLE / "index.html", tmp_path)
    options = f'baseUrl: "{stack.gateway_url}", credential: () => "{stack.api_key}"'
    concierge = tmp_path / "src" / "concierge.tsx"
    called = f'useParley({{ {options}, personaId: "pia" }})'
    concierge.write_text(concierge.read_text().replace("useParley()", called))
    built = bundled(tmp_path, packages=["@parley/client", "@parley/react"], others=REACT)
    async with (
        serving(built, policy="script-src 'self'"),
        Browser.launched() as browser,
        browser.page(permissions=PERMISSIONS) as page,
    ):
        await page.goto(SITE)
        task_id = await created_by(page, page.get_by_role("button", name="Call").click())
        await expect(page.locator(".captions")).to_have_text(GREETING, timeout=REPLY_TIMEOUT_MS)
        await expect(page.locator("[data-picture='video']")).to_be_visible()
        await expect(page.get_by_role("button", name="Mute")).to_be_enabled()
        await page.get_by_label("Question").fill("When do you open?")
        await page.keyboard.press("Enter")
        await expect(page.locator(".captions")).to_contain_text("When do you open?")
        await page.get_by_role("button", name="Hang up").click()
    assert await until_over(stack, task_id) == "REQUESTED"
