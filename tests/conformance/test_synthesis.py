"""What a synthesizer does, whoever the vendor is."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from services.runtime.pcm import duration_s
from services.speech.ports.errors import ProviderError
from services.speech.ports.stages import Stage
from services.speech.vendors.websocket import client
from tests.conformance.asking import TEXTS, each, pcm_of, speaking, spoken, until
from tests.conformance.script import CHARACTER_S, sound_of, sounds_at
from tests.conformance.subject import Subject

STAGES = (Stage.SYNTHESIS,)
TEXT = "".join(TEXTS)


async def test_whole_reply(subject: Subject) -> None:
    """The sound of all texts comes in order, complete, at a rate that the cloud plays."""
    async with subject.synthesizer() as (synthesizer, _):
        chunks = await spoken(synthesizer, TEXTS)
    assert synthesizer.sample_rate_hertz in (16_000, 24_000)
    assert pcm_of(chunks) == sound_of(TEXT, synthesizer.sample_rate_hertz)


async def test_whole_samples(subject: Subject) -> None:
    """Chunks hold whole samples although the vendor's pieces end within them."""
    async with subject.synthesizer() as (synthesizer, _):
        chunks = await spoken(synthesizer, TEXTS)
    assert all(len(chunk.pcm) % 2 == 0 for chunk in chunks)


async def test_texts_as_they_come(subject: Subject) -> None:
    """The first text is heard while the second is not yet written."""
    was_heard = asyncio.Event()

    async def texts() -> AsyncIterator[str]:
        yield TEXTS[0]
        await was_heard.wait()
        yield TEXTS[1]

    pcm = b""
    async with subject.synthesizer() as (synthesizer, _):
        first = sound_of(TEXTS[0], synthesizer.sample_rate_hertz)
        async for chunk in synthesizer.speak(texts(), speaking(synthesizer)):
            pcm += chunk.pcm
            if len(pcm) >= len(first):
                was_heard.set()
    assert pcm == sound_of(TEXT, synthesizer.sample_rate_hertz)


async def test_text_ahead(subject: Subject) -> None:
    """A text is sent when it is written, however much of the sound before it is still to come."""
    async with subject.synthesizer() as (synthesizer, server):
        chunks = synthesizer.speak(each(*TEXTS), speaking(synthesizer))
        await anext(chunks)
        await until(lambda: len(server.sessions[0].texts) == len(TEXTS))
        await chunks.aclose()  # type: ignore[attr-defined]
    assert [text.strip() for text in server.sessions[0].texts] == [text.strip() for text in TEXTS]


async def test_word_times(subject: Subject) -> None:
    """Each word has its place in the text, and the time at which it is heard."""
    async with subject.synthesizer() as (synthesizer, _):
        chunks = await spoken(synthesizer, TEXTS)
    words = [word for chunk in chunks for word in chunk.words]
    placed = {place for word in words for place in range(word.start, word.end)}
    assert placed >= {place for place, character in enumerate(TEXT) if character.isalnum()}
    assert len(words) == len(dict.fromkeys((word.start, word.end) for word in words))
    for word in words:
        assert word.start_s == pytest.approx(sounds_at(TEXT, word.start), abs=0.005)
        assert word.end_s == pytest.approx(sounds_at(TEXT, word.end), abs=CHARACTER_S + 0.005)


async def test_text_ends(subject: Subject) -> None:
    """It is said when the sound of each text is complete, and not before."""
    async with subject.synthesizer() as (synthesizer, _):
        chunks = await spoken(synthesizer, TEXTS)
    ends: list[int] = []
    pcm_bytes = 0
    for chunk in chunks:
        pcm_bytes += len(chunk.pcm)
        if chunk.text_end is not None:
            ends.append(chunk.text_end)
            heard_s = duration_s(pcm_bytes, synthesizer.sample_rate_hertz)
            assert heard_s >= sounds_at(TEXT, chunk.text_end) - 0.001
    assert {len(TEXTS[0]), len(TEXT)} <= set(ends)
    assert ends == sorted(ends)


async def test_odd_texts(subject: Subject) -> None:
    """Texts without a word among others, quotes and other scripts are no trouble."""
    texts = ('"Is that <so>?" ', "— ", "早上好！", "It's 5 & 6.")
    async with subject.synthesizer() as (synthesizer, server):
        chunks = await spoken(synthesizer, texts)
        sent = "".join(text for session in server.sessions for text in session.texts)
    said = [character for text in texts if text != "— " for character in text if character.strip()]
    assert [each for each in sent if each.strip() and each != "—"] == said
    assert pcm_of(chunks) == sound_of(sent, synthesizer.sample_rate_hertz)


async def test_voice(subject: Subject) -> None:
    """The voice is named for each reply, also on a new connection."""
    async with subject.synthesizer() as (synthesizer, server):
        for voice in (0, 1):
            await spoken(synthesizer, TEXTS[:1], speaking(synthesizer, voice=voice))
            await server.close_idle()
            await spoken(synthesizer, TEXTS[:1], speaking(synthesizer, voice=voice))
        first, second = (voice.voice_id for voice in synthesizer.voices[:2])
    assert [session.voice_id for session in server.sessions] == [first, first, second, second]


async def test_speed(subject: Subject) -> None:
    """The speed is named for each reply, also on a new connection."""
    async with subject.synthesizer() as (synthesizer, server):
        for speed in (1.1, 1.0):
            await spoken(synthesizer, TEXTS[:1], speaking(synthesizer, speed=speed))
            await server.close_idle()
            await spoken(synthesizer, TEXTS[:1], speaking(synthesizer, speed=speed))
    assert [session.speed for session in server.sessions] == pytest.approx([1.1, 1.1, 1.0, 1.0])


async def test_style(subject: Subject) -> None:
    """The persona's style is named for each reply that has one."""
    async with subject.synthesizer() as (synthesizer, server):
        wanted = speaking(synthesizer)
        for request in (replace(wanted, style="chat"), wanted):
            await spoken(synthesizer, TEXTS[:1], request)
    assert [session.delivery for session in server.sessions] == ["chat", ""]


async def test_emotion(subject: Subject) -> None:
    """The persona's emotion is named for each reply that has one."""
    async with subject.synthesizer() as (synthesizer, server):
        wanted = speaking(synthesizer)
        for request in (replace(wanted, emotion="sad"), wanted):
            await spoken(synthesizer, TEXTS[:1], request)
    sad, plain = (session.delivery for session in server.sessions)
    assert "sad" in sad
    assert not plain


async def test_language(subject: Subject) -> None:
    """The language is named for each reply, also on a new connection."""
    async with subject.synthesizer() as (synthesizer, server):
        for language in ("zh-CN", "en-US"):
            await spoken(synthesizer, TEXTS[:1], speaking(synthesizer, language))
            await server.close_idle()
            await spoken(synthesizer, TEXTS[:1], speaking(synthesizer, language))
    assert [session.language for session in server.sessions] == ["zh", "zh", "en", "en"]


async def test_cancel(subject: Subject) -> None:
    """Closing the iterator ends the reply at the vendor; the next one is not mixed with it."""
    has_stopped = asyncio.Event()

    async def texts() -> AsyncIterator[str]:
        try:
            yield TEXTS[0]
            await asyncio.Event().wait()
        finally:
            has_stopped.set()

    async with subject.synthesizer() as (synthesizer, server):
        chunks = synthesizer.speak(texts(), speaking(synthesizer))
        await anext(chunks)
        await chunks.aclose()  # type: ignore[attr-defined]
        assert has_stopped.is_set()
        await until(lambda: server.sessions[0].has_ended)
        assert len(server.sessions[0].texts) == 1
        following = await spoken(synthesizer, TEXTS)
    assert pcm_of(following) == sound_of(TEXT, synthesizer.sample_rate_hertz)


async def test_connection_lost(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is lost while the reply is written is noticed although no sound is due."""
    monkeypatch.setattr(client, "PING_S", 0.1)
    monkeypatch.setattr(client, "CLOSE_S", 0.1)

    async def texts() -> AsyncIterator[str]:
        yield TEXTS[0]
        await asyncio.Event().wait()

    async with subject.synthesizer() as (synthesizer, server):
        chunks = synthesizer.speak(texts(), speaking(synthesizer))
        await anext(chunks)
        server.lose_idle()
        with pytest.raises(ProviderError) as caught:
            _ = [chunk async for chunk in chunks]
    assert caught.value.transient


async def test_source_fails(subject: Subject) -> None:
    """What goes wrong with the texts themselves is no failure of the vendor, and ends the reply."""

    async def broken() -> AsyncIterator[str]:
        yield TEXTS[0]
        raise LookupError("the model is gone")

    async with subject.synthesizer() as (synthesizer, server):
        with pytest.raises(LookupError):
            _ = [chunk async for chunk in synthesizer.speak(broken(), speaking(synthesizer))]
        await until(lambda: all(session.has_ended for session in server.sessions))


async def test_no_texts(subject: Subject) -> None:
    """A reply without texts has no sound, and is no failure."""
    async with subject.synthesizer() as (synthesizer, _):
        assert pcm_of(await spoken(synthesizer, ())) == b""


async def test_replies_at_once(subject: Subject) -> None:
    """Conversations share a synthesizer, each with its own reply."""
    replies = [TEXTS, ("One.",), ("Two, three.",), ("Four.", " Five."), ("Six.",), ("Seven.",)]
    async with subject.synthesizer() as (synthesizer, _):
        spoken_replies = await asyncio.gather(*(spoken(synthesizer, texts) for texts in replies))
    assert [pcm_of(chunks) for chunks in spoken_replies] == [
        sound_of("".join(texts), synthesizer.sample_rate_hertz) for texts in replies
    ]
