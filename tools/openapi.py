"""Writes clients/js/openapi.json, of which the client's types are generated."""

import asyncio
import json
from pathlib import Path

from gateway.app import GatewayOptions, create_app
from gateway.backend.services import Targets, connecting
from gateway.decoding.decoder import AudioLimits, decoding
from gateway.middleware.access import AccessRules

DOCUMENT = Path(__file__).resolve().parent.parent / "clients" / "js" / "openapi.json"
# Nothing is asked of the services: a channel connects when it is first used.
TARGETS = Targets(task="127.0.0.1:1", speech="127.0.0.1:1", avatar="127.0.0.1:1")


async def document() -> str:
    """Return the document of a gateway with keys."""
    access = AccessRules(is_open=False, origins=(), requests_per_second=1)
    options = GatewayOptions(access=access)
    async with (
        decoding(AudioLimits()) as decoder,
        connecting(TARGETS, service_token=None) as backend,
    ):
        app = create_app(backend=backend, decoder=decoder, options=options)
        return json.dumps(app.openapi(), ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    DOCUMENT.write_text(asyncio.run(document()), encoding="utf-8")
