"""What counts as an answer at each stage: words, audible sound, a final transcript.

A provider that ends normally without one has failed: `ProviderMuteError`. What may still turn out
to be empty is held back, so that a fallback can still take over.
"""

import re
from collections.abc import AsyncIterator

from services.speech.ports import ProviderMuteError, SpeechChunk, Stage, Transcript, WordTime
from services.speech.streams import closing

LONGEST_SILENCE_BYTES = 1 << 21
"""Much more than any pause before a first word: 43 s at 24 kHz."""

_WORD = re.compile(r"[^\W_]")


def has_words(text: str) -> bool:
    """Whether a text holds anything that can be spoken."""
    return _WORD.search(text) is not None


async def worded(deltas: AsyncIterator[str], provider: str) -> AsyncIterator[str]:
    """Yield a reply's deltas once it has a word, those before it included."""
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
    """Yield the audio of a text that can be spoken; digital silence does not count."""
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
    """Yield hypotheses, the last of which must be final; an empty final one is an answer."""
    is_final = False
    async with closing(transcripts):
        async for transcript in transcripts:
            is_final = transcript.is_final
            yield transcript
    if not is_final:
        raise ProviderMuteError(Stage.RECOGNITION, provider, "no final transcript")
