"""The request for a reply, without what the model that is asked refuses."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from services.speech.ports import ChatMessage, Role
from services.speech.providers.complaints import Complaint

_RENAMED = {"max_tokens": "max_completion_tokens"}
_NO_SYSTEM_ROLE = re.compile(
    r"system['\"`]?\s+(?:role|message|prompt)s?\b.{0,40}?(?:not|n't|un)\s*(?:be\s+)?"
    r"(?:support|allow|accept)|(?:only|must be).{0,40}user.{0,20}assistant.{0,20}role",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """What is sent beside the dialogue."""

    parameters: Mapping[str, object]
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
            **self.parameters,
        }

    def without_refused(self, complaint: Complaint) -> Self | None:
        """Return a request without what a refusal names; None if it names nothing of it.

        Each change is made once, so that asking again comes to an end.
        """
        if self.has_system_role and _NO_SYSTEM_ROLE.search(complaint.message):
            return replace(self, has_system_role=False)
        named = [each for each in self.parameters if _names(complaint, each)]
        if not named:
            return None
        rest = {key: value for key, value in self.parameters.items() if key != named[0]}
        if (successor := _RENAMED.get(named[0])) is not None:
            rest[successor] = self.parameters[named[0]]
        return replace(self, parameters=rest)


def _names(complaint: Complaint, parameter: str) -> bool:
    if complaint.param:
        return complaint.param == parameter
    names = (parameter, _RENAMED.get(parameter, parameter))
    return any(re.search(rf"\b{name}\b", complaint.message) for name in names)


def _folded(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """Return the messages with the system's at the beginning of the user's first."""
    system = "\n".join(each.content for each in messages if each.role is Role.SYSTEM)
    rest = [each for each in messages if each.role is not Role.SYSTEM]
    if not system or not rest or rest[0].role is not Role.USER:
        return list(messages)
    return [ChatMessage(role=Role.USER, content=f"{system}\n\n{rest[0].content}"), *rest[1:]]
