"""The list of the voices that a key may use, for vendors that answer one over HTTP."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from services.speech.ports.stages import Stage
from services.speech.ports.synthesis import Voice
from services.speech.vendors.documents import parse_json
from services.speech.vendors.http.client import (
    Endpoint,
    malformed_answer,
    open_client,
    provider_errors,
    status_error,
)
from services.speech.vendors.http.error_details import read_error


async def ask_for_voices(
    endpoint: Endpoint,
    path: str,
    headers: Mapping[str, str],
    read: Callable[[Any], Iterable[Voice]],
) -> Sequence[Voice]:
    """Return what `read` finds in the JSON at a path of the vendor's host; raises ProviderError.

    What `read` raises for a missing key or a wrong type is the vendor's failure.
    """
    url = endpoint.base_url.replace("ws", "http", 1) + path
    with provider_errors(Stage.SYNTHESIS, endpoint.name):
        async with (
            asyncio.timeout(endpoint.deadlines.total_s),
            open_client(replace(endpoint, api_key=None)) as client,
        ):
            response = await client.get(url, headers=headers)
    if not response.is_success:
        detail = read_error(response.content)
        raise status_error(
            Stage.SYNTHESIS, endpoint, response.status_code, response.headers, detail
        )
    try:
        voices = list(read(parse_json(response.content)))
    except (ValueError, TypeError, KeyError):
        voices = []
    if not voices:
        raise malformed_answer(Stage.SYNTHESIS, endpoint, "it lists no voices")
    return voices
