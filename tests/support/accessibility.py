"""What a screen reader gets of a page."""

from playwright.async_api import Page

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
