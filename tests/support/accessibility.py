"""What a screen reader gets of a page, and how well its texts stand out."""

import math

import cv2
import numpy as np
from playwright.async_api import Locator, Page, expect

NAMED_ROLES = {
    "button",
    "switch",
    "textbox",
    "radio",
    "link",
    "dialog",
    "complementary",
    "group",
    "region",
}
# Level AA, for text of normal size.
LEAST_CONTRAST = 4.5
# Gives the colour of a text, whatever space it is written in, and shows what is behind it.
HIDE = """
(element) => {
  const pen = new OffscreenCanvas(1, 1).getContext("2d");
  pen.fillStyle = getComputedStyle(element).color;
  pen.fillRect(0, 0, 1, 1);
  element.style.color = "transparent";
  element.style.transition = "none";
  return [...pen.getImageData(0, 0, 1, 1).data.slice(0, 3)];
}
"""
SHOW = "(element) => { element.style.color = ''; }"


async def names_by_role(page: Page) -> list[tuple[str, str]]:
    """The role and name of everything on the page, as a screen reader gets them."""
    session = await page.context.new_cdp_session(page)
    tree = await session.send("Accessibility.getFullAXTree")
    return [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in tree["nodes"]
        if not node["ignored"]
    ]


async def check_names(page: Page, expected: set[str]) -> None:
    """Expect some roles, and a name of all that needs one."""
    found = await names_by_role(page)
    assert expected <= {role for role, _ in found}
    assert [role for role, name in found if role in NAMED_ROLES and not name.strip()] == []


async def contrasts_of(page: Page, *selectors: str) -> dict[str, float]:
    """By selector, a text's colour against what is behind it, where that is most like it."""
    texts = [page.locator(selector).first for selector in selectors]
    boxes: list[tuple[slice, slice]] = []
    # The page may still be moving.
    while boxes != (boxes := [await _box_of(text) for text in texts]):
        colours = [await text.evaluate(HIDE) for text in texts]
        # As many pixels as the boxes have, however densely the page is drawn.
        png = await page.screenshot(animations="disabled", scale="css")
        for text in texts:
            await text.evaluate(SHOW)
    shown = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert shown is not None
    return {
        selector: _contrast(colour, shown[rows, columns])
        for selector, colour, (rows, columns) in zip(selectors, colours, boxes, strict=True)
    }


async def _box_of(text: Locator) -> tuple[slice, slice]:
    """The rows and columns of the page that a text takes."""
    await expect(text).to_be_in_viewport()
    box = await text.bounding_box()
    assert box is not None
    left, top = math.floor(box["x"]), math.floor(box["y"])
    right, bottom = math.ceil(box["x"] + box["width"]), math.ceil(box["y"] + box["height"])
    return slice(max(0, top), bottom), slice(max(0, left), right)


def _contrast(colour: list[int], behind: np.ndarray) -> float:
    other = luminance(behind.reshape(-1, 3).astype(np.float64))
    own = luminance(np.array([colour], np.float64))
    ratios = (np.maximum(other, own) + 0.05) / (np.minimum(other, own) + 0.05)
    return float(np.percentile(ratios, 2))


def luminance(rgb: np.ndarray) -> np.ndarray:
    """Relative luminance as the accessibility guidelines define it."""
    share = rgb / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])
