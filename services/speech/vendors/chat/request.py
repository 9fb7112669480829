"""The request for a reply, in a form that the model accepts."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from services.speech.ports import ChatMessage, Role
from services.speech.vendors.http.error_details import ErrorDetail
from services.speech.vendors.http.parameters import Parameters

_NO_SYSTEM_ROLE = re.compile(
    r"system['\"`]?\s+(?:role|message|prompt)s?\b.{0,40}?(?:not|n't|un)\s*(?:be\s+)?"
    r"(?:support|allow|accept)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatBody:
    """The parameters sent with a dialogue, and the form that the dialogue takes."""

    parameters: Parameters
    has_system_role: bool = True
    """Whether the system message has its own role, or is put before the user's first message."""

    def content(self, model: str, messages: Sequence[ChatMessage]) -> dict[str, Any]:
        """Return the request's body."""
        dialogue = messages if self.has_system_role else _folded(messages)
        return {
            "model": model,
            "messages": [
                {"role": message.role.value, "content": message.content} for message in dialogue
            ],
            **self.parameters.values,
        }

    def without_refused(self, detail: ErrorDetail) -> Self | None:
        """Return the request without what a refusal names; None if it names nothing in it."""
        if self.has_system_role and _NO_SYSTEM_ROLE.search(detail.message):
            return replace(self, has_system_role=False)
        parameters = self.parameters.without_refused(detail)
        return None if parameters is None else replace(self, parameters=parameters)


def _folded(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """Return the messages with the system message at the beginning of the user's first."""
    system = "\n".join(each.content for each in messages if each.role is Role.SYSTEM)
    rest = [each for each in messages if each.role is not Role.SYSTEM]
    if not system or not rest or rest[0].role is not Role.USER:
        return list(messages)
    return [ChatMessage(role=Role.USER, content=f"{system}\n\n{rest[0].content}"), *rest[1:]]
