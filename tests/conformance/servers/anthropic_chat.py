"""Anthropic's Messages API, streamed."""

import json
from typing import Any

from services.speech.vendors.anthropic_chat import VENDOR
from tests.conformance.http_server import HttpServer
from tests.conformance.script import KEY, Asked, Reply
from tests.conformance.subject import NO_OLD_CONNECTIONS, Subject
from tests.support.vendor import VendorRequest
from tests.support.vendor_answers import sse


class MessagesServer(HttpServer[Asked]):
    """Writes the reply in events, cut within characters."""

    content_type = "text/event-stream"
    garbage = sse({"type": "content_block_delta", "index": 0, "delta": 5})
    unknown = sse({"type": "ping"}, "ping") + sse({"type": "applause", "loud": True}, "applause")

    def __init__(self) -> None:
        super().__init__()
        self.reply = Reply()

    async def hear(self, request: VendorRequest) -> tuple[Asked, list[bytes]]:
        """Read the document, and return the events."""
        assert request.path.endswith("/messages")
        assert request.headers["x-api-key"] == KEY
        assert "authorization" not in request.headers
        session = Asked(document=json.loads(request.body), is_finished=True)
        stream = b"".join(sse(each, each["type"]) for each in self._events())
        middle = stream.index("早".encode()) + 1 if "早".encode() in stream else len(stream) // 2
        return session, [stream[:middle], stream[middle:]]

    def _events(self) -> list[dict[str, Any]]:
        reply = self.reply
        counted = {
            "input_tokens": reply.input_tokens - reply.cached_tokens,
            "cache_read_input_tokens": reply.cached_tokens,
            "cache_creation_input_tokens": 0,
        }
        blocks: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
        if reply.thoughts:
            thoughts = {"type": "thinking_delta", "thinking": reply.thoughts}
            signature = {"type": "signature_delta", "signature": "c2lnbmVk"}
            blocks.append(({"type": "thinking", "thinking": ""}, [thoughts, signature]))
        deltas = [{"type": "text_delta", "text": each} for each in reply.deltas]
        blocks.append(({"type": "text", "text": ""}, deltas))
        for call in reply.calls:
            head = {"type": "tool_use", "id": call.call_id, "name": call.name, "input": {}}
            written = "" if call.arguments == "{}" else call.arguments
            pieces = [{"type": "input_json_delta", "partial_json": each} for each in ("", *written)]
            blocks.append((head, pieces))
        return [
            {"type": "message_start", "message": {"usage": {**counted, "output_tokens": 1}}},
            *(each for index, block in enumerate(blocks) for each in _block(index, *block)),
            {
                "type": "message_delta",
                "delta": {"stop_reason": "tool_use" if reply.calls else "end_turn"},
                "usage": {"output_tokens": reply.output_tokens},
            },
            {"type": "message_stop"},
        ]


def _block(index: int, block: dict[str, Any], deltas: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": block},
        *({"type": "content_block_delta", "index": index, "delta": each} for each in deltas),
        {"type": "content_block_stop", "index": index},
    ]


SUBJECTS = (
    Subject(
        name="anthropic", vendor=VENDOR, server=MessagesServer.open, without=NO_OLD_CONNECTIONS
    ),
)
