"""The description that gateways serve is what FastAPI says of their handlers."""

from gateway.contract.openapi import DOCUMENT
from tools.openapi import described


async def test_openapi_json_is_the_gateways_own() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == await described(), "run `make web`"
