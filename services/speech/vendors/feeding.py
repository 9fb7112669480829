"""How the texts of a reply reach a voice: one request each, or all of them on one session."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from services.runtime.pcm import duration_s
from services.speech.answers import audible, has_words
from services.speech.ports.errors import ProviderError
from services.speech.ports.stages import Stage
from services.speech.ports.synthesis import SpeechChunk
from services.speech.streams import Deadlines, closing


async def clause_by_clause(
    texts: AsyncIterator[str],
    speak: Callable[[str], AsyncIterator[SpeechChunk]],
    *,
    provider: str,
    sample_rate_hertz: int,
) -> AsyncIterator[SpeechChunk]:
    """Yield the audio of texts that are spoken in a request each, the next when one is done.

    What `speak` yields counts characters and times from the beginning of its own text. A text
    without sound raises ProviderMuteError.
    """
    characters, bytes_before = 0, 0
    async with closing(texts):
        async for text in texts:
            offset_s = duration_s(bytes_before, sample_rate_hertz)
            async with closing(audible(speak(text), provider, is_due=lambda: True)) as chunks:
                async for chunk in chunks:
                    bytes_before += len(chunk.pcm)
                    yield chunk.moved(characters, offset_s)
            characters += len(text)
            yield SpeechChunk(pcm=b"", text_end=characters)


async def on_session(
    texts: AsyncIterator[str],
    chunks: AsyncIterator[SpeechChunk],
    *,
    send: Callable[[str], Awaitable[None]],
    finish: Callable[[], Awaitable[None]],
    deadlines: Deadlines,
    provider: str,
) -> AsyncIterator[SpeechChunk]:
    """Yield a session's chunks while its texts are sent as they come; `finish` follows the last.

    Where none comes, it is left unfinished: a vendor may take an empty one for an error.

    A failure of either ends both, and so does closing. Only while sound is owed does time count:
    `first_s` for the first, `next_s` from the latest text or chunk on. Raises TimeoutError when it
    is late, ProviderError when it ends before its texts, ProviderMuteError when they give no sound.
    """
    debt = _Debt(deadlines)
    feeding = asyncio.create_task(_feed(texts, send, finish, debt))
    heard = audible(chunks, provider, is_due=lambda: bool(debt.text))
    try:
        async with closing(heard):
            while True:
                try:
                    async with debt.waiting(feeding):
                        chunk = await anext(heard)
                except StopAsyncIteration:
                    break
                except _NoTextError:
                    return
                debt.pay(chunk)
                yield chunk
        if not feeding.done():
            what = "the session ends before its texts"
            raise ProviderError(Stage.SYNTHESIS, provider, what, transient=True)
        feeding.result()
    finally:
        feeding.cancel()
        await asyncio.wait({feeding})


async def _feed(
    texts: AsyncIterator[str],
    send: Callable[[str], Awaitable[None]],
    finish: Callable[[], Awaitable[None]],
    debt: "_Debt",
) -> None:
    async with closing(texts):
        async for text in texts:
            await send(text)
            debt.owe(text)
    if not debt.text:
        raise _NoTextError
    await finish()
    debt.close()


class _NoTextError(Exception):
    """The texts ended before one came."""


class _Debt:
    """The sound that is owed for what was given, and by when some of it must come."""

    def __init__(self, deadlines: Deadlines) -> None:
        self.text = ""
        self._deadlines = deadlines
        self._spoken = 0
        self._due_at: float | None = None
        self._limit: asyncio.Timeout | None = None

    def owe(self, text: str) -> None:
        """A text was sent."""
        self.text += text
        self._expect(self._deadlines.next_s if self._spoken else self._deadlines.first_s)

    def pay(self, chunk: SpeechChunk) -> None:
        """A chunk came."""
        ends = (*(word.end for word in chunk.words), chunk.text_end or 0)
        self._spoken = max(self._spoken, *ends)
        if has_words(self.text[self._spoken :]):
            self._expect(self._deadlines.next_s)
        else:
            self._due_at = None

    def close(self) -> None:
        """All texts were sent: the end of the session is owed."""
        self._expect(self._deadlines.next_s)

    @asynccontextmanager
    async def waiting(self, feeding: "asyncio.Task[None]") -> AsyncIterator[None]:
        """Wait for a chunk inside the block; raises what the feeding raises, and TimeoutError."""

        def wake(task: "asyncio.Task[None]") -> None:
            if not task.cancelled() and task.exception() is not None:
                self._expect(0.0)

        try:
            async with asyncio.timeout_at(self._due_at) as self._limit:
                feeding.add_done_callback(wake)
                yield
        except TimeoutError:
            if feeding.done():
                feeding.result()
            raise
        finally:
            feeding.remove_done_callback(wake)
            self._limit = None

    def _expect(self, within_s: float) -> None:
        self._due_at = asyncio.get_running_loop().time() + within_s
        if self._limit is not None:
            self._limit.reschedule(self._due_at)
