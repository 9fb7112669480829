"""What the libraries for phones are told of a running stack, to be tried by their own tests."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from tests.clients.conftest import Question
from tests.support.stack import Stack


@asynccontextmanager
async def live_environment(stack: Stack, question: Question) -> AsyncIterator[dict[str, str]]:
    """Yield the environment of such tests; a POST to its last address starts the gateway anew."""
    async with await asyncio.start_server(partial(_restart, stack), "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        yield {
            "PARLEY_URL": stack.gateway_url,
            "PARLEY_KEY": stack.api_key,
            "PARLEY_WAV": str(question.wav),
            "PARLEY_QUESTION": question.text,
            "PARLEY_ANSWER": question.answer,
            "PARLEY_PERSONA": question.persona_id,
            "PARLEY_RESTART_URL": f"http://{host}:{port}/",
        }


async def _restart(
    stack: Stack, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await reader.readuntil(b"\r\n\r\n")
    await stack.restart("gateway")
    writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
    await writer.drain()
    writer.close()
