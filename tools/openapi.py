"""Writes gateway/contract/openapi.json, which gateways serve and the client's types are made of."""

import asyncio
import json
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from gateway.access.principal import Clearance
from gateway.access.routes import needed_for
from gateway.app import GatewayOptions, create_app
from gateway.backend.services import Targets, connecting
from gateway.contract import bodies, events, models, turn_models
from gateway.contract.openapi import DOCUMENT, REF
from gateway.decoding.decoder import AudioLimits, decoding
from gateway.middleware.access import AccessRules

# What the bundled Swagger UI reads.
OPENAPI_VERSION = "3.0.3"
SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
}
# What handlers read or write by themselves: bodies, answers, and the events of lines and streams.
EXTRA_MODELS: tuple[type[BaseModel], ...] = (
    models.Problem,
    bodies.TalkBody,
    turn_models.TurnAnswer,
    events.LineMessage,
    events.TurnEvent,
    events.TaskEvent,
)
# Nothing is asked of the services: a channel connects when it is first used.
TARGETS = Targets(task="127.0.0.1:1", speech="127.0.0.1:1", avatar="127.0.0.1:1")


async def described() -> str:
    """Return the document of a gateway with keys."""
    access = AccessRules(is_open=False, origins=(), requests_per_second=1)
    options = GatewayOptions(access=access)
    async with (
        decoding(AudioLimits()) as decoder,
        connecting(TARGETS, service_token=None) as backend,
    ):
        app = create_app(backend=backend, decoder=decoder, options=options)
        return json.dumps(_describe(app), ensure_ascii=False, indent=1) + "\n"


def _describe(app: FastAPI) -> dict[str, Any]:
    described = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        openapi_version=OPENAPI_VERSION,
    )
    schemas = described["components"]["schemas"]
    _add_models(schemas)
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            # Violations are answered with 400.
            operation["responses"].pop("422", None)
            if needed_for(method.upper(), path) is Clearance.NONE:
                operation["security"] = []
    described["components"]["securitySchemes"] = SECURITY_SCHEMES
    described["security"] = [{name: []} for name in SECURITY_SCHEMES]
    simplified: dict[str, Any] = _simplified(described)
    return simplified


def _add_models(schemas: dict[str, Any]) -> None:
    for model in EXTRA_MODELS:
        schema = model.model_json_schema(ref_template=REF, mode="serialization")
        found = {**schema.pop("$defs", {}), model.__name__: schema}
        for name, each in found.items():
            schemas.setdefault(name, each)


def _simplified(node: Any) -> Any:
    """Return a description without what OpenAPI 3.0 lacks: null types, const, examples."""
    if isinstance(node, list):
        return [_simplified(each) for each in node]
    if not isinstance(node, dict):
        return node
    simple = {name: _simplified(value) for name, value in node.items()}
    match simple:
        case {"anyOf": [only, {"type": "null"}]}:
            # Members that are null here are left out of the JSON.
            simple.pop("anyOf")
            simple.pop("default", None)
            simple = only | simple
        case {"const": value}:
            simple.pop("const")
            simple["enum"] = [value]
        case {"examples": [example, *_]}:
            simple.pop("examples")
            simple["example"] = example
    return simple


if __name__ == "__main__":
    DOCUMENT.write_text(asyncio.run(described()), encoding="utf-8")
