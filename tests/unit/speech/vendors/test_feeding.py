"""What a voice's session is asked for the texts of a reply."""

import asyncio
from collections.abc import AsyncIterator

from services.speech.ports.synthesis import SpeechChunk
from services.speech.streams import Deadlines
from services.speech.vendors.feeding import on_session

DEADLINES = Deadlines(first_s=30, next_s=30, total_s=30)


async def chunks_of(*texts: str) -> tuple[list[SpeechChunk], list[str]]:
    """Speak texts on a session that says one chunk for all of them when it is finished."""
    asked: list[str] = []
    finished = asyncio.Event()

    async def send(text: str) -> None:
        asked.append(text)

    async def finish() -> None:
        asked.append("finish")
        finished.set()

    async def source() -> AsyncIterator[str]:
        for text in texts:
            await asyncio.sleep(0)
            yield text

    async def session() -> AsyncIterator[SpeechChunk]:
        await finished.wait()
        yield SpeechChunk(pcm=bytes(range(1, 101)), text_end=len("".join(texts)))

    spoken = on_session(
        source(), session(), send=send, finish=finish, deadlines=DEADLINES, provider="voice"
    )
    return [chunk async for chunk in spoken], asked


async def test_a_session_is_finished_after_the_last_text() -> None:
    chunks, asked = await chunks_of("One.", " Two.")
    assert len(chunks) == 1
    assert asked == ["One.", " Two.", "finish"]


async def test_a_session_without_texts_is_left_unfinished() -> None:
    """A vendor may take an empty one for an error, which would count against it."""
    chunks, asked = await chunks_of()
    assert chunks == []
    assert asked == []
