"""How connections to a language model are used."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.speech.ports import ChatMessage, ChatRequest, Role
from services.speech.streams import Deadlines
from services.speech.vendors.http.client import Endpoint
from services.speech.vendors.openai_chat import OpenAiChatModel
from tests.support.speech import text_of

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
REPLY = b'data: {"choices": [{"delta": {"content": "Yes."}, "finish_reason": "stop"}], "usage": {}}'
ASKED = ChatRequest(messages=(ChatMessage(role=Role.USER, content="Why?"),))
PATIENT = Deadlines(first_s=20, next_s=20, total_s=40)


class LastingServer:
    """Answers one request after the other on each connection, and counts these."""

    def __init__(self) -> None:
        self.connections = 0
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
                for event in (REPLY, b"data: [DONE]"):
                    piece = event + b"\n\n"
                    writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                writer.write(b"0\r\n\r\n")
        except asyncio.IncompleteReadError:
            writer.close()


@asynccontextmanager
async def model_at(server: LastingServer) -> AsyncIterator[OpenAiChatModel]:
    """The adapter in front of a server."""
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        endpoint = Endpoint(
            name="lasting",
            base_url=f"http://127.0.0.1:{port}/v1",
            api_key=None,
            model="m",
            deadlines=PATIENT,
        )
        async with OpenAiChatModel.open(endpoint) as model:
            yield model


async def test_replies_share_a_connection() -> None:
    server = LastingServer()
    async with model_at(server) as model:
        for _ in range(3):
            assert await text_of(model.stream(ASKED)) == "Yes."
    assert (server.requests, server.connections) == (3, 1)
