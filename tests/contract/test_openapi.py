"""The description of which the page's types are generated is the gateway's own."""

from tools.openapi import DOCUMENT, document


async def test_openapi_json_is_the_gateways_own() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == await document(), "run `make web`"
