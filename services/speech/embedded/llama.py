"""The embedded language model: llama.cpp in this process."""

import asyncio
import contextlib
import secrets
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import xllamacpp

from services.speech.embedded.worker import Worker, open_worker, provider_errors
from services.speech.plain_dialogue import alternating, without_calls
from services.speech.ports.chat import ChatMessage, ChatRequest, Role
from services.speech.ports.errors import ProviderError
from services.speech.ports.stages import Stage

_PROVIDER = "llama"
_CONTEXT_TOKENS = 2048
_MAX_TOKENS = 120
"""A spoken reply of about 40 s."""

_PREFILL_TOKENS = 64
"""Prompt tokens between two checks whether the reply is still wanted."""

_PROMPT_CACHE_MIB = 256
"""Memory for the prompts of other conversations, so that each resumes where it left off."""

_REUSED_TOKENS = 32
"""Shortest run of known tokens that is moved in the cache rather than read again."""

_HELLO = ChatMessage(role=Role.USER, content="Hello")


class LlamaChatModel:
    """Continues one dialogue at a time; a prefix shared with earlier ones costs nothing."""

    def __init__(self, server: xllamacpp.Server, *, worker: Worker) -> None:
        self._server = server
        self._worker = worker

    @classmethod
    @contextlib.asynccontextmanager
    async def load(
        cls, path: Path, *, threads: int, read_ahead: Sequence[ChatMessage] = (_HELLO,)
    ) -> AsyncIterator[Self]:
        """Load a GGUF model and have it read prompts, which also warms it up.

        Replies to dialogues that start with one of them begin at once.
        """
        async with open_worker(_PROVIDER) as worker:
            server = await worker.load(_open_server, path, threads)
            model = cls(server, worker=worker)
            for prompt in read_ahead:
                await model._read(prompt)
            yield model

    @property
    def name(self) -> str:
        return _PROVIDER

    def stream(self, request: ChatRequest) -> AsyncGenerator[str, None]:
        """Yield the reply's text; closing the iterator stops the model at its next token.

        A dialogue that is too long for the model is continued without its oldest messages. It calls
        no tools.
        """
        messages = alternating(list(without_calls(request.messages)))
        return self._stream(messages, max_tokens=_MAX_TOKENS)

    async def _stream(
        self, messages: Sequence[ChatMessage], *, max_tokens: int
    ) -> AsyncGenerator[str, None]:
        reply = _Deltas(asyncio.get_running_loop(), max_tokens)
        generation = self._worker.submit(self._generate, messages, max_tokens, reply)
        generation.add_done_callback(lambda _: reply.end())
        try:
            while (delta := await self._next(reply)) is not None:
                yield delta
        finally:
            reply.is_unwanted.set()
            generation.cancel()
        with provider_errors(Stage.CHAT, _PROVIDER):
            generation.result()

    async def _read(self, prompt: ChatMessage) -> None:
        async with contextlib.aclosing(self._stream([prompt], max_tokens=1)) as deltas:
            async for _ in deltas:
                pass

    async def _next(self, reply: "_Deltas") -> str | None:
        with provider_errors(Stage.CHAT, _PROVIDER):
            return await self._worker.while_progressing(reply.deltas.get())

    def _generate(self, messages: Sequence[ChatMessage], max_tokens: int, reply: "_Deltas") -> None:
        dialogue = list(messages)
        while not self._complete(dialogue, max_tokens, reply):
            dialogue = _shorten(dialogue)

    def _complete(self, dialogue: Sequence[ChatMessage], max_tokens: int, reply: "_Deltas") -> bool:
        """Generate into `reply`; return whether the dialogue fits into the model's context."""
        errors: list[Mapping[str, Any]] = []

        def receive(chunk: Mapping[str, Any]) -> bool:
            """Called for every token and piece of the prompt; True stops the model."""
            self._worker.progress()
            if "error" in chunk:
                errors.append(chunk["error"])
                return True
            for choice in chunk["choices"]:
                if text := choice["delta"].get("content"):
                    reply.add(text)
            return reply.is_unwanted.is_set()

        self._server.handle_chat_completions(
            {
                "messages": [
                    {"role": message.role.value, "content": message.content} for message in dialogue
                ],
                "stream": True,
                "return_progress": True,
                "cache_prompt": True,
                "max_tokens": max_tokens,
                "temperature": 0.3,
                "top_p": 0.9,
                "repeat_penalty": 1.1,
            },
            receive,
        )
        if not errors:
            return True
        if errors[0].get("type") == "exceed_context_size_error" and len(dialogue) > 1:
            return False
        message = f"the model refused the dialogue: {errors[0].get('message', 'no reason given')}"
        raise ProviderError(Stage.CHAT, _PROVIDER, message, transient=False)


class _Deltas:
    """Hands text from the worker's thread to the event loop.

    The queue has room for every token that the model may generate, so the thread never waits.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, max_tokens: int) -> None:
        self.deltas = asyncio.Queue[str | None](maxsize=max_tokens + 2)
        self.is_unwanted = threading.Event()
        self._loop = loop

    def add(self, text: str) -> None:
        self._loop.call_soon_threadsafe(self.deltas.put_nowait, text)

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self.deltas.put_nowait, None)


def _shorten(dialogue: Sequence[ChatMessage]) -> list[ChatMessage]:
    """Drop the oldest quarter of what follows the system prompt, at least one message.

    The rest begins with a message of the user; the last message stays if it is the only one.
    """
    head = [message for message in dialogue[:1] if message.role is Role.SYSTEM]
    rest = dialogue[len(head) :]
    kept = rest[max(1, len(rest) // 4) :]
    begins = (at for at, message in enumerate(kept) if message.role is Role.USER)
    return [*head, *kept[next(begins, 0) :]]


def _open_server(path: Path, threads: int) -> xllamacpp.Server:
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx = _CONTEXT_TOKENS
    params.n_parallel = 1
    params.n_batch = _PREFILL_TOKENS
    params.n_ubatch = _PREFILL_TOKENS
    params.cache_ram_mib = _PROMPT_CACHE_MIB
    params.n_cache_reuse = _REUSED_TOKENS
    for pool in (params.cpuparams, params.cpuparams_batch):
        pool.n_threads = threads
        # Threads that poll for work would starve the other models.
        pool.poll = 0
    # The library also listens on a loopback port, which serves only requests with this key.
    params.api_keys = [secrets.token_hex(32)]
    params.ui = False
    params.endpoint_slots = False
    params.n_threads_http = 1
    params.verbosity = -1
    return xllamacpp.Server(params)
