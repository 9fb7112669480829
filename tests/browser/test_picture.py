"""The picture in a real browser: it comes, moves and glows with the sound, and rests in silence."""

from typing import Any

import numpy as np
import pytest
from playwright.async_api import Page, expect

from tests.support.browser import Browser, until_heard, until_silent
from tests.support.page import ask, start_call
from tests.support.stack import Stack

LONG_QUESTION = "Tell me a short story about a brave little robot."
# Where the mouth is in a square picture, as shares of its size: left, top, width, height.
MOUTH = [0.42, 0.46, 0.16, 0.12]
SAMPLES = 15
LEAST_SAMPLES = 4
# Without a GPU, each pixel of a drawing costs CPU time.
SCREEN: dict[str, Any] = {
    "viewport": {"width": 320, "height": 240},
    "device_scale_factor": 0.25,
    "reduced_motion": "no-preference",
}
UNTIL_IT_GLOWS = """
() => new Promise((resolve) => {
  const { style } = document.getElementById("stage");
  const check = () =>
    style.getPropertyValue("--voice") > 0.2 ? resolve() : requestAnimationFrame(check);
  check();
})
"""
# How much the region changes from sample to sample, of 255. A picture that a graphics context drew
# is gone when it has been shown, so samples are taken within frames, and only while the digital
# human does what it did at first.
MOTION = """
([selector, [left, top, width, height], count]) => new Promise((resolve) => {
  const { activity } = document.body.dataset;
  const until = performance.now() + 5000;
  const picture = document.querySelector(selector);
  const canvas = new OffscreenCanvas(32, 24);
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  let before = null;
  let changes = [];
  const sample = () => requestAnimationFrame(() => {
    const wide = picture.videoWidth ?? picture.width;
    const high = picture.videoHeight ?? picture.height;
    pen.drawImage(picture, left * wide, top * high, width * wide, height * high, 0, 0, 32, 24);
    const now = pen.getImageData(0, 0, 32, 24).data;
    if (before) changes.push(now.reduce((sum, each, at) => sum + Math.abs(each - before[at]), 0));
    before = now;
    const goesOn = document.body.dataset.activity === activity && performance.now() < until;
    if (changes.length < count && goesOn) setTimeout(sample, 80);
    else resolve(changes.map((each) => each / before.length));
  });
  sample();
})
"""
pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]


async def motion(page: Page, selector: str) -> float:
    """How much the mouth moves in the next moments, at most until a reply begins or ends."""
    changes = await page.evaluate(MOTION, [selector, MOUTH, SAMPLES])
    assert len(changes) >= LEAST_SAMPLES
    return float(np.mean(changes))


@pytest.mark.parametrize(
    ("query", "picture", "selector"),
    [("", "video", "#face"), ("?output=blendshape", "drawing", "#drawing")],
    ids=["video", "blendshape"],
)
async def test_the_mouth_moves_with_the_sound(
    browser: Browser, stack: Stack, query: str, picture: str, selector: str
) -> None:
    async with browser.page(**SCREEN) as page:
        await start_call(page, stack, f"{stack.gateway_url}/{query}")
        await expect(page.locator("#stage")).to_have_attribute("data-picture", picture)
        await until_silent(page)
        resting = await motion(page, selector)
        await ask(page, LONG_QUESTION)
        await until_heard(page)
        await page.evaluate(UNTIL_IT_GLOWS)
        speaking = await motion(page, selector)
        await page.get_by_role("button", name="Interrupt").click()
        await until_silent(page)
        silenced = await motion(page, selector)
        assert speaking > 2 * resting
        assert speaking > 2 * silenced
        assert resting > 0, "the picture stands still"
