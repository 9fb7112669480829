"""What counts as an answer at each stage: words, audible sound, a final transcript.

A provider that ends normally without one has failed: `ProviderMuteError`. What may still turn out
to be empty is held back, so that a fallback can still take over.
"""

import re
from collections.abc import AsyncIterator, Callable

from services.speech.ports.chat import ChatItem, ChatUsage
from services.speech.ports.errors import ProviderMuteError
from services.speech.ports.recognition import Transcript
from services.speech.ports.stages import Stage
from services.speech.ports.synthesis import SpeechChunk
from services.speech.streams import closing

LONGEST_SILENCE_BYTES = 1 << 21
"""Much more than any pause before a first word: 43 s at 24 kHz."""

_WORD = re.compile(r"[^\W_]")


def has_words(text: str) -> bool:
    """Whether a text holds anything that can be spoken."""
    return _WORD.search(text) is not None


async def answered(items: AsyncIterator[ChatItem], provider: str) -> AsyncIterator[ChatItem]:
    """Yield a reply once it has a word or calls a tool, the text before that included."""
    held: str | None = ""
    async with closing(items):
        async for item in items:
            if held is not None and not isinstance(item, ChatUsage):
                if isinstance(item, str):
                    held += item
                    if not has_words(held):
                        continue
                    item, held = held, None
                else:
                    if held:
                        yield held
                    held = None
            yield item
    if held is not None:
        raise ProviderMuteError(Stage.CHAT, provider, "a reply without a word")


async def audible(
    chunks: AsyncIterator[SpeechChunk], provider: str, *, is_due: Callable[[], bool]
) -> AsyncIterator[SpeechChunk]:
    """Yield the audio of texts from the first sound on, with the digital silence before it.

    Silence alone does not count: without a sound at the end it raises, if one `is_due` by then.
    """
    held: SpeechChunk | None = SpeechChunk(pcm=b"")
    async with closing(chunks):
        async for chunk in chunks:
            if held is None:
                yield chunk
                continue
            held = held.then(chunk)
            if any(chunk.pcm):
                yield held
                held = None
            elif len(held.pcm) > LONGEST_SILENCE_BYTES:
                break
    if held is not None and is_due():
        what = "silence" if held.pcm else "no audio"
        raise ProviderMuteError(Stage.SYNTHESIS, provider, f"{what} for a text that can be spoken")


async def concluded(
    transcripts: AsyncIterator[Transcript], provider: str
) -> AsyncIterator[Transcript]:
    """Yield hypotheses, the last of which must be final; an empty final one is an answer."""
    is_final = False
    async with closing(transcripts):
        async for transcript in transcripts:
            is_final = transcript.is_final
            yield transcript
    if not is_final:
        raise ProviderMuteError(Stage.RECOGNITION, provider, "no final transcript")
