"""What Deepgram says, in both versions of its API."""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, TypeVar

import structlog

from services.runtime.languages import primary
from services.speech.ports.errors import ProviderError, ProviderQuotaError
from services.speech.ports.recognition import TimedWord
from services.speech.ports.stages import Stage
from services.speech.vendors.documents import parse_json
from services.speech.vendors.http.client import Endpoint, malformed_answer
from services.speech.vendors.http.error_details import redacted
from services.speech.vendors.websocket.client import VendorSocket

log = structlog.get_logger(__name__)

T = TypeVar("T")

_TRADITIONAL = frozenset(("zh-tw", "zh-hk"))
_TOO_MANY = ("rate limit", "too many requests", "quota", "insufficient", "credit")


async def messages(socket: VendorSocket, endpoint: Endpoint) -> AsyncIterator[Mapping[str, Any]]:
    """Yield messages until the vendor closes normally; raises ProviderError, also for its own."""
    try:
        async for message in socket:
            found = _parse(message, endpoint)
            if found.get("type") == "Error":
                raise _error(found, endpoint)
            yield found
    except ProviderError:
        ids = {
            key.lower(): value
            for key, value in socket.response_headers.items()
            if key.lower().startswith("dg-")
        }
        log.warning("vendor recognition failed", provider=endpoint.name, ids=ids)
        raise


def reading(read: Callable[[Mapping[str, Any]], T], message: Any, endpoint: Endpoint) -> T:
    """Return what `read` finds in a message; raises ProviderError for one of another shape."""
    try:
        return read(message)
    except (TypeError, KeyError, IndexError, AttributeError, ValueError):
        what = f"{message.get('type')} of another shape"
        raise malformed_answer(Stage.RECOGNITION, endpoint, what) from None


def words_of(document: Mapping[str, Any], offset_s: float = 0.0) -> tuple[TimedWord, ...]:
    """Return the words that have times, which count from `offset_s` on."""
    return tuple(
        TimedWord(
            text=str(word.get("punctuated_word") or word["word"]),
            start_s=max(float(word["start"]) - offset_s, 0.0),
            end_s=max(float(word["end"]) - offset_s, 0.0),
        )
        for word in document.get("words") or ()
        if word.get("start") is not None and word.get("end") is not None
    )


def language_of(document: Mapping[str, Any]) -> str:
    """Return the language that was heard most, if that is told."""
    return str(next(iter(document.get("languages") or ()), ""))


def named(language_code: str) -> str:
    """Return a language as Deepgram names it: few models know regions."""
    is_traditional = language_code.lower() in _TRADITIONAL
    return language_code if is_traditional else primary(language_code)


def _parse(message: str | bytes, endpoint: Endpoint) -> Mapping[str, Any]:
    try:
        found = parse_json(message)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise malformed_answer(Stage.RECOGNITION, endpoint, "a message is no document")
    return found


def _error(found: Mapping[str, Any], endpoint: Endpoint) -> ProviderError:
    parts = (found.get(key) for key in ("code", "description", "message"))
    said = redacted(" ".join(str(part) for part in parts if part), endpoint.api_key)
    what = "the provider reports an error"
    if any(each in said.lower() for each in _TOO_MANY):
        return ProviderQuotaError(Stage.RECOGNITION, endpoint.name, what, vendor_message=said)
    return ProviderError(
        Stage.RECOGNITION, endpoint.name, what, transient=True, vendor_message=said
    )
