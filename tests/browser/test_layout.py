"""The page on screens of every shape: nothing is cut off or under another."""

import pytest
from playwright.async_api import Locator, Page, expect

from tests.support.browser import Browser
from tests.support.gateway_rig import running_gateway
from tests.support.vendor_sdk import watch_by_sdk

LANDSCAPE = {"width": 844, "height": 390}
NARROW = {"width": 320, "height": 640}
USABLE_PX = 150
pytestmark = pytest.mark.asyncio(loop_scope="session")


async def box_of(locator: Locator) -> dict[str, float]:
    """Where an element is; it must be shown."""
    box = await locator.bounding_box()
    assert box is not None
    return {
        "x": box["x"],
        "y": box["y"],
        "width": box["width"],
        "height": box["height"],
        "right": box["x"] + box["width"],
        "bottom": box["y"] + box["height"],
    }


async def fits(page: Page, locator: Locator) -> bool:
    """Whether an element lies within the page, with nothing over its middle."""
    box = await box_of(locator)
    size = page.viewport_size
    assert size is not None
    is_inside = box["x"] >= 0 and box["y"] >= 0
    is_inside = is_inside and box["right"] <= size["width"] and box["bottom"] <= size["height"]
    middle = [box["x"] + box["width"] / 2, box["y"] + box["height"] / 2]
    on_top: bool = await locator.evaluate(
        "(element, [x, y]) => element.contains(document.elementFromPoint(x, y))", middle
    )
    return is_inside and on_top


async def call(page: Page) -> None:
    """Press Call, and wait until one can talk."""
    await page.get_by_role("button", name="Call", exact=True).click()
    await expect(page.get_by_role("status")).to_contain_text("Listening")


@pytest.mark.parametrize("viewport", [{"width": 1000, "height": 700}, LANDSCAPE])
async def test_the_transcript_leaves_room_for_the_controls(
    browser: Browser, viewport: dict[str, int]
) -> None:
    async with running_gateway() as gateway, browser.page(viewport=viewport) as page:
        await watch_by_sdk(page, gateway)
        await page.goto(gateway.url)
        await call(page)
        await page.get_by_role("button", name="Transcript", exact=True).click()
        drawer = page.locator("#transcript")
        await expect(drawer).to_be_in_viewport(ratio=0.99)
        for name in ("End call", "Mute", "Interrupt"):
            assert await fits(page, page.get_by_role("button", name=name)), name
        text = await box_of(page.get_by_label("Write to"))
        assert text["width"] >= USABLE_PX


@pytest.mark.parametrize("viewport", [LANDSCAPE, NARROW])
async def test_the_lobby_shows_all_there_is_to_choose(
    browser: Browser, viewport: dict[str, int]
) -> None:
    async with running_gateway() as gateway, browser.page(viewport=viewport) as page:
        await page.goto(gateway.url)
        title = page.get_by_role("heading", name="Talk with Guide")
        assert await fits(page, title)
        bar = await box_of(page.locator("body > header"))
        assert (await box_of(title))["y"] >= bar["bottom"]
        for button in ("Call", "Transcript", "Light or dark"):
            assert await fits(page, page.get_by_role("button", name=button, exact=True)), button


async def test_the_bar_fits_a_narrow_call(browser: Browser) -> None:
    async with running_gateway() as gateway, browser.page(viewport=NARROW) as page:
        await watch_by_sdk(page, gateway)
        await page.goto(gateway.url)
        await call(page)
        for name in ("Transcript", "Light or dark", "End call", "Mute"):
            assert await fits(page, page.get_by_role("button", name=name, exact=True)), name
