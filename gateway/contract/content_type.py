"""The media type of a request's body."""

from email.message import Message

from fastapi import Request

from gateway.contract.problems import refused
from services.runtime.reasons import Reason


def media_kind(content_type: str) -> str:
    """Return `type/subtype` in lower case; empty when there is none."""
    message = Message()
    message["content-type"] = content_type or "/"
    return message.get_content_type() if content_type else ""


async def requires_json(request: Request) -> None:
    """Refuse a body of another type than JSON."""
    if media_kind(request.headers.get("content-type", "")) != "application/json":
        raise refused(
            Reason.MEDIA_TYPE_UNSUPPORTED, "Content-Type", "media_type", "must be application/json"
        )
