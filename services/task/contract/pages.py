"""Page tokens: opaque to callers, valid only for the list that they were made for."""

import base64
import binascii
import hashlib
from dataclasses import replace

from services.runtime.failures.errors import ServiceError, invalid
from services.task.domain.usage import UsageFilter
from services.task.ports.search import TaskFilter

_SEPARATOR = "."


def encode(position: str, wanted: TaskFilter | UsageFilter) -> str:
    """Return the token of the page after a position in the list of what is wanted."""
    text = position + _SEPARATOR + _digest(wanted)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(token: str, wanted: TaskFilter | UsageFilter) -> str:
    """Return the position that a page follows. Raises ServiceError with INVALID_REQUEST."""
    try:
        padded = token.encode("ascii") + b"=" * (-len(token) % 4)
        text = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except (UnicodeError, binascii.Error):
        raise bad_token() from None
    position, separator, digest = text.rpartition(_SEPARATOR)
    if not separator:
        raise bad_token()
    if digest != _digest(wanted):
        raise invalid("page_token", "page_token", "it belongs to a list with another filter")
    return position


def bad_token() -> ServiceError:
    """Return the error for a token that this service did not make."""
    return invalid("page_token", "page_token", "it is not a `next_page_token`")


def _digest(wanted: TaskFilter | UsageFilter) -> str:
    if isinstance(wanted, TaskFilter):
        wanted = replace(wanted, states=tuple(sorted(wanted.states)))
    return hashlib.sha256(repr(wanted).encode()).hexdigest()[:12]
