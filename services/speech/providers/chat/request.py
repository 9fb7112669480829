"""The request for a reply, in a form that the model that is asked takes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from services.speech.ports import ChatMessage, Role
from services.speech.providers.http.complaints import Complaint
from services.speech.providers.http.parameters import Parameters

_NO_SYSTEM_ROLE = re.compile(
    r"system['\"`]?\s+(?:role|message|prompt)s?\b.{0,40}?(?:not|n't|un)\s*(?:be\s+)?"
    r"(?:support|allow|accept)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """What is sent with a dialogue, and how the dialogue is."""

    parameters: Parameters
    has_system_role: bool = True
    """Whether the system's message has a role of its own, or stands before the user's first."""

    def body(self, model: str, messages: Sequence[ChatMessage]) -> dict[str, Any]:
        """Return the request's body."""
        dialogue = messages if self.has_system_role else _folded(messages)
        return {
            "model": model,
            "messages": [
                {"role": message.role.value, "content": message.content} for message in dialogue
            ],
            **self.parameters.values,
        }

    def without_refused(self, complaint: Complaint) -> Self | None:
        """As that of Parameters."""
        if self.has_system_role and _NO_SYSTEM_ROLE.search(complaint.message):
            return replace(self, has_system_role=False)
        parameters = self.parameters.without_refused(complaint)
        return None if parameters is None else replace(self, parameters=parameters)


def _folded(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """Return the messages with the system's at the beginning of the user's first."""
    system = "\n".join(each.content for each in messages if each.role is Role.SYSTEM)
    rest = [each for each in messages if each.role is not Role.SYSTEM]
    if not system or not rest or rest[0].role is not Role.USER:
        return list(messages)
    return [ChatMessage(role=Role.USER, content=f"{system}\n\n{rest[0].content}"), *rest[1:]]
