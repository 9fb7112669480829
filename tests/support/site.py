"""A page of another site that has the widget in it, as Chromium sees it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from playwright.async_api import Page, Route

from tests.support.origins import SITE

PERMISSIONS = ("microphone", "local-network-access")
"""The second is for this machine's addresses only: the site seems to be elsewhere."""

NO_MICROPHONE = PERMISSIONS[1:]
EVENTS = ("connected", "turn", "ended", "error")
KEEP_EVENTS = f"""
window.told = [];
window.violations = [];
addEventListener("securitypolicyviolation", (event) => {{
  window.violations.push(`${{event.violatedDirective}} ${{event.blockedURI}}`);
}});
for (const type of {list(EVENTS)}) {{
  addEventListener(`parley-${{type}}`, ({{ detail }}) => window.told.push([type, detail]));
}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What a site answers with at `/`, and under which security policy."""

    gateway_url: str
    attributes: Mapping[str, str]
    hosts: Sequence[str] = ()
    """Of picture, sound and portraits, where they are not the gateway's."""

    @property
    def policy(self) -> str:
        """The strictest policy under which the documentation promises that the widget works."""
        gateway = self.gateway_url
        socket = gateway.replace("http", "ws", 1)
        hosts = " ".join(self.hosts)
        return "; ".join(
            (
                "default-src 'none'",
                f"script-src {gateway}",
                f"connect-src 'self' {gateway} {socket} {hosts}",
                f"img-src {gateway} {hosts}",
                "require-trusted-types-for 'script'",
                "trusted-types 'none'",
            )
        )

    @property
    def page(self) -> str:
        """The page's HTML."""
        attributes = " ".join(f'{name}="{value}"' for name, value in self.attributes.items())
        return (
            '<!doctype html><html lang="en"><head><title>Shop</title>'
            '<meta name="viewport" content="width=device-width">'
            f'<script src="{self.gateway_url}/clients/v1/parley.js" async></script></head>'
            f'<body><h1>Shoes</h1><a href="#">Boots</a><parley-avatar {attributes}>'
            "</parley-avatar></body></html>"
        )

    async def open(self, page: Page, *, ticket: Any = None, origin: str = SITE) -> None:
        """Open the page, whose events are kept; `/ticket` answers with `ticket`, or with 403."""
        await self.serve(page, ticket=ticket, origin=origin)
        await page.add_init_script(KEEP_EVENTS)
        await page.goto(origin)
        await page.evaluate("customElements.whenDefined('parley-avatar').then(() => null)")

    async def serve(self, page: Page, *, ticket: Any = None, origin: str = SITE) -> None:
        """Answer requests to the site, as long as the page is open."""

        async def answer_ticket(route: Route) -> None:
            if ticket is None:
                await route.fulfill(status=403)
            else:
                await route.fulfill(json=ticket)

        async def answer(route: Route) -> None:
            await route.fulfill(
                body=self.page,
                content_type="text/html",
                headers={"Content-Security-Policy": self.policy},
            )

        await page.route(f"{origin}/**", answer)
        await page.route(f"{origin}/ticket**", answer_ticket)


async def told(page: Page, event: str) -> list[dict[str, Any]]:
    """The details of an event, each time that the element has told it."""
    kept: list[tuple[str, dict[str, Any]]] = await page.evaluate("window.told")
    return [detail for name, detail in kept if name == event]


async def violations(page: Page) -> list[str]:
    """What the page's policy has kept from happening."""
    return list(await page.evaluate("window.violations"))
