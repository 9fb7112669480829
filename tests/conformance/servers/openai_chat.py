"""Chat completions, streamed."""

import json
from typing import Any

from services.speech.vendors.openai_chat import VENDOR
from tests.conformance.http_server import HttpServer, events
from tests.conformance.script import Asked, Reply
from tests.conformance.subject import NO_OLD_CONNECTIONS, Subject
from tests.support.vendor import VendorRequest


class ChatCompletionsServer(HttpServer[Asked]):
    """Writes the reply in chunks, cut within characters."""

    content_type = "text/event-stream"
    garbage = b'data: {"choices": [5]}\n\ndata: [DONE]\n\n'
    unknown = b': a comment\n\nevent: applause\nretry: 5\ndata: {"choices": [], "applause": 1}\n\n'

    def __init__(self) -> None:
        super().__init__()
        self.reply = Reply()

    async def hear(self, request: VendorRequest) -> tuple[Asked, list[bytes]]:
        """Read the document, and return the events."""
        session = Asked(document=json.loads(request.body), is_finished=True)
        stream = events(*self._chunks())
        middle = stream.index("早".encode()) + 1 if "早".encode() in stream else len(stream) // 2
        return session, [stream[:middle], stream[middle:]]

    def _chunks(self) -> list[dict[str, Any]]:
        reply = self.reply
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        if reply.thoughts:
            deltas.append({"reasoning_content": reply.thoughts})
        deltas += [{"content": delta} for delta in reply.deltas]
        for index, call in enumerate(reply.calls):
            function = {"name": call.name, "arguments": ""}
            deltas.append(_call(index, {"id": call.call_id, "type": "function"}, function))
            for character in call.arguments:
                deltas.append(_call(index, {}, {"arguments": character}))
        usage = {
            "prompt_tokens": reply.input_tokens,
            "completion_tokens": reply.output_tokens,
            "total_tokens": reply.input_tokens + reply.output_tokens,
            "prompt_tokens_details": {"cached_tokens": reply.cached_tokens},
        }
        return [
            *(_chunk(delta, None) for delta in deltas),
            _chunk({}, "tool_calls" if reply.calls else "stop"),
            {"object": "chat.completion.chunk", "choices": [], "usage": usage},
        ]


def _call(index: int, head: dict[str, Any], function: dict[str, str]) -> dict[str, Any]:
    return {"tool_calls": [{"index": index, **head, "function": function}]}


def _chunk(delta: dict[str, Any], reason: str | None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return {"object": "chat.completion.chunk", "choices": [choice]}


SUBJECTS = (
    Subject(
        name="openai",
        vendor=VENDOR,
        server=ChatCompletionsServer.open,
        without=NO_OLD_CONNECTIONS,
    ),
)
