"""How the audio of an utterance reaches a recognizer while its hypotheses come back."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise

from services.speech.ports.errors import ProviderError
from services.speech.ports.recognition import TimedWord, Transcript, TurnEnd
from services.speech.ports.stages import Stage
from services.speech.streams import Deadlines, closing

_WIDE = (
    ("\u2e80", "\ua4cf"),
    ("\uf900", "\ufaff"),
    ("\uff00", "\uffef"),
    ("\U00020000", "\U0003ffff"),
)
"""Chinese and Japanese, including full-width punctuation."""


async def on_stream(
    audio: AsyncIterator[bytes],
    transcripts: AsyncIterator[Transcript],
    *,
    send: Callable[[bytes], Awaitable[None]],
    finish: Callable[[], Awaitable[None]],
    packet_bytes: int,
    deadlines: Deadlines,
    provider: str,
    most_bytes: int | None = None,
) -> AsyncIterator[Transcript]:
    """Yield transcripts up to the final one, while audio is sent as it comes, in packets.

    Packets have `packet_bytes`, or, where a vendor takes more at once, up to `most_bytes`.
    `finish` follows the last packet. A failure of either direction ends both, and so does closing.
    While audio flows no transcript is due; from its end on, the final one is due within `first_s`.
    Raises TimeoutError when it is late, ProviderError when the transcripts end without it.
    """
    pieces = packets(audio, packet_bytes, most_bytes or packet_bytes)
    sending = asyncio.create_task(_send(pieces, send, finish))
    try:
        async with closing(transcripts):
            due_at: float | None = None
            while True:
                try:
                    async with asyncio.timeout_at(due_at) as limit:
                        watch = _watch(limit, deadlines.first_s)
                        sending.add_done_callback(watch)
                        try:
                            transcript = await anext(transcripts)
                        finally:
                            sending.remove_done_callback(watch)
                            due_at = limit.when()
                except TimeoutError:
                    if sending.done():
                        sending.result()
                    raise
                except StopAsyncIteration:
                    break
                yield transcript
                if transcript.is_final:
                    return
        if sending.done():
            sending.result()
        what = "the transcripts end without a final one"
        raise ProviderError(Stage.RECOGNITION, provider, what, transient=True)
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


async def _send(
    audio: AsyncIterator[bytes],
    send: Callable[[bytes], Awaitable[None]],
    finish: Callable[[], Awaitable[None]],
) -> None:
    async with closing(audio):
        async for packet in audio:
            await send(packet)
    await finish()


def _watch(limit: asyncio.Timeout, within_s: float) -> Callable[["asyncio.Task[None]"], None]:
    """Return what sets a limit once all audio is sent: at once, if sending has failed."""

    def set_limit(sending: "asyncio.Task[None]") -> None:
        if limit.when() is None and not sending.cancelled():
            wait_s = within_s if sending.exception() is None else 0.0
            with suppress(RuntimeError):  # The wait has just ended; the next has the limit.
                limit.reschedule(asyncio.get_running_loop().time() + wait_s)

    return set_limit


async def packets(audio: AsyncIterator[bytes], least: int, most: int) -> AsyncIterator[bytes]:
    """Yield the same audio in pieces of at least and at most so much, the last perhaps shorter."""
    held = b""
    async with closing(audio):
        async for chunk in audio:
            held += chunk
            while len(held) >= least:
                yield held[:most]
                held = held[most:]
    if held:
        yield held


class Sentences:
    """An utterance of which a vendor transcribes one sentence after the other."""

    def __init__(self) -> None:
        self._complete: list[Transcript] = []

    def with_partial(self, sentence: Transcript) -> Transcript:
        """Return the utterance so far, of which the last sentence may still change."""
        return _joined([*self._complete, sentence])

    def add(self, sentence: Transcript) -> Transcript:
        """Add a complete sentence, and return the utterance so far."""
        if sentence.text:
            self._complete.append(sentence)
        return _joined(self._complete)

    def final(self, turn_end: TurnEnd | None = None) -> Transcript:
        """Return the final transcript: all complete sentences."""
        return replace(_joined(self._complete), is_final=True, turn_end=turn_end)


def _joined(sentences: list[Transcript]) -> Transcript:
    words: list[TimedWord] = []
    for sentence in sentences:
        words += sentence.words
    codes = [each.language_code for each in sentences if each.language_code]
    return Transcript(
        text=_text([each.text.strip() for each in sentences if each.text.strip()]),
        is_final=False,
        words=tuple(words),
        language_code=codes[-1] if codes else "",
    )


def _text(sentences: list[str]) -> str:
    """Return sentences with a space between those of a script that has spaces."""
    text = "".join(sentences[:1])
    for before, after in pairwise(sentences):
        text += after if _is_wide(before[-1]) or _is_wide(after[0]) else f" {after}"
    return text


def _is_wide(character: str) -> bool:
    """Whether it belongs to a script that has no spaces."""
    return any(first <= character <= last for first, last in _WIDE)
