"""How connections to a language model are used."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from services.speech.ports.chat import ChatMessage, ChatModel, ChatRequest, Role
from services.speech.streams import Deadlines
from services.speech.vendors.anthropic_chat import AnthropicChatModel
from services.speech.vendors.http import endings
from services.speech.vendors.http.client import Endpoint
from services.speech.vendors.openai_chat import OpenAiChatModel
from tests.support.scripted_providers import text_of

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
COMPLETION = (
    b'data: {"choices": [{"delta": {"content": "Yes."}, "finish_reason": "stop"}], "usage": {}}',
    b"data: [DONE]",
)
MESSAGE = (
    b'data: {"type": "content_block_delta", "index": 0,'
    b' "delta": {"type": "text_delta", "text": "Yes."}}',
    b'data: {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}',
    b'data: {"type": "message_stop"}',
)
ASKED = ChatRequest(messages=(ChatMessage(role=Role.USER, content="Why?"),))
PATIENT = Deadlines(first_s=20, next_s=20, total_s=40)


@pytest.fixture(autouse=True)
def busy_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for the end of an answer, however late this machine reads it."""
    monkeypatch.setattr(endings, "END_S", 20.0)


class LastingServer:
    """Answers one request after the other on each connection; `over` once one is closed."""

    def __init__(self, events: Sequence[bytes]) -> None:
        self._events = events
        self.connections = 0
        self.over = asyncio.Event()
        self.requests = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection until it is closed."""
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                size = next(
                    line for line in head.lower().split(b"\r\n") if b"content-length" in line
                )
                await reader.readexactly(int(size.partition(b":")[2]))
                self.requests += 1
                writer.write(HEAD)
                for event in self._events:
                    piece = event + b"\n\n"
                    writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                writer.write(b"0\r\n\r\n")
        except asyncio.IncompleteReadError:
            writer.close()
            await writer.wait_closed()
            self.over.set()


@asynccontextmanager
async def endpoint_of(server: LastingServer) -> AsyncIterator[Endpoint]:
    """Where a server listens."""
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        yield Endpoint(
            name="lasting",
            base_url=f"http://127.0.0.1:{port}/v1",
            api_key=None,
            model="m",
            deadlines=PATIENT,
        )
        await server.over.wait()


async def replies_share_a_connection(model: ChatModel, server: LastingServer) -> None:
    for _ in range(3):
        assert await text_of(model.stream(ASKED)) == "Yes."
    assert (server.requests, server.connections) == (3, 1)


async def test_completions_share_a_connection() -> None:
    server = LastingServer(COMPLETION)
    async with endpoint_of(server) as endpoint, OpenAiChatModel.open(endpoint) as model:
        await replies_share_a_connection(model, server)


async def test_messages_share_a_connection() -> None:
    server = LastingServer(MESSAGE)
    async with (
        endpoint_of(server) as endpoint,
        AnthropicChatModel.open(
            endpoint, version="1", max_tokens=9, temperature=1.0, extra={}
        ) as model,
    ):
        await replies_share_a_connection(model, server)
