"""What counts as an answer of each stage: words, sound, a final transcript.

A provider that ends well without it has failed: `ProviderMuteError`. What may still turn out to be
nothing is held back, so that it commits nobody.
"""

import re
from collections.abc import AsyncIterator

from services.speech.ports import ProviderMuteError, SpeechChunk, Stage, Transcript, WordTime
from services.speech.streams import closing

LONGEST_SILENCE_BYTES = 1 << 21
"""Much more than any pause before the first word: 43 s at 24 kHz."""

_WORD = re.compile(r"[^\W_]")


def has_words(text: str) -> bool:
    """Whether any of a text can be said."""
    return _WORD.search(text) is not None


async def worded(deltas: AsyncIterator[str], provider: str) -> AsyncIterator[str]:
    """Yield a reply's deltas from its first word on, with what stands before it."""
    held: str | None = ""
    async with closing(deltas):
        async for delta in deltas:
            if held is not None:
                held += delta
                if not has_words(held):
                    continue
                delta, held = held, None
            yield delta
    if held is not None:
        raise ProviderMuteError(Stage.CHAT, provider, "a reply without a word")


async def audible(chunks: AsyncIterator[SpeechChunk], provider: str) -> AsyncIterator[SpeechChunk]:
    """Yield the audio of a text that can be spoken; digital silence alone is none."""
    silence: bytearray | None = bytearray()
    words: tuple[WordTime, ...] = ()
    async with closing(chunks):
        async for chunk in chunks:
            if silence is None:
                if chunk.pcm:
                    yield chunk
                continue
            words = chunk.words or words
            silence += chunk.pcm
            if any(chunk.pcm):
                yield SpeechChunk(pcm=bytes(silence), words=words)
                silence = None
            elif len(silence) > LONGEST_SILENCE_BYTES:
                break
    if silence is not None:
        what = "silence" if silence else "no audio"
        raise ProviderMuteError(Stage.SYNTHESIS, provider, f"{what} for a text that can be spoken")


async def concluded(
    transcripts: AsyncIterator[Transcript], provider: str
) -> AsyncIterator[Transcript]:
    """Yield hypotheses of which the last is final; a final one may be empty: nothing was said."""
    is_final = False
    async with closing(transcripts):
        async for transcript in transcripts:
            is_final = transcript.is_final
            yield transcript
    if not is_final:
        raise ProviderMuteError(Stage.RECOGNITION, provider, "no final transcript")
