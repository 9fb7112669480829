"""The media type of a request's body."""

from email.message import Message

from fastapi import Request
from python_multipart.multipart import parse_options_header

from gateway.contract.problems import refused
from services.runtime.failures.reasons import Reason


def media_kind(content_type: str) -> str:
    """Return `type/subtype` in lower case; empty when there is none."""
    message = Message()
    message["content-type"] = content_type or "/"
    return message.get_content_type() if content_type else ""


def require_utf8(content_type: str) -> None:
    """Refuse a form in another charset than UTF-8: some of Python's codecs never end, or crash."""
    # As the reader of forms parses it: what it would take for a charset counts.
    _, parameters = parse_options_header(content_type)
    charset = parameters.get(b"charset", b"utf-8").strip().lower()
    if charset not in (b"utf-8", b"utf8"):
        raise refused(
            Reason.MEDIA_TYPE_UNSUPPORTED, "Content-Type", "charset", "must have the charset utf-8"
        )


async def requires_json(request: Request) -> None:
    """Refuse a body of another type than JSON."""
    if media_kind(request.headers.get("content-type", "")) != "application/json":
        raise refused(
            Reason.MEDIA_TYPE_UNSUPPORTED, "Content-Type", "media_type", "must be application/json"
        )
