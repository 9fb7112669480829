"""What a recognizer does, whoever the vendor is."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.speech.ports.errors import ProviderError
from services.speech.ports.recognition import Transcript, TurnEnd
from services.speech.ports.stages import Stage
from services.speech.vendors.websocket import client
from tests.conformance.asking import SPEECH, heard, hearing, sound, until
from tests.conformance.script import WORD_S, Utterance
from tests.conformance.subject import Subject

STAGES = (Stage.RECOGNITION,)


async def test_final_transcript(subject: Subject) -> None:
    """Exactly one transcript is final: the last, with all that was said."""
    async with subject.recognizer() as (recognizer, server):
        transcripts = await heard(recognizer, hearing())
    assert [each.is_final for each in transcripts] == [*[False] * (len(transcripts) - 1), True]
    assert transcripts[-1].text == server.utterance.final
    assert transcripts[-1].turn_end is None


async def test_all_sound_is_sent(subject: Subject) -> None:
    """All sound reaches the vendor in order, however it was cut; only silence may follow."""
    async with subject.recognizer() as (recognizer, server):
        await heard(recognizer, hearing())
        (session,) = server.sessions
        assert session.audio[: len(SPEECH)] == SPEECH
        assert not any(session.audio[len(SPEECH) :])


async def test_hypotheses_while_speaking(subject: Subject) -> None:
    """Hypotheses come while the user speaks; each is all of the utterance so far."""
    ended = asyncio.Event()
    texts: list[str] = []
    async with subject.recognizer() as (recognizer, server):
        assert recognizer.is_streaming
        async for transcript in recognizer.transcribe(sound(then=ended), hearing()):
            texts.append(transcript.text)
            if transcript.text == server.utterance.partials[-1]:
                ended.set()
    assert [*dict.fromkeys(texts)] == [*server.utterance.partials, server.utterance.final]


async def test_no_speech(subject: Subject) -> None:
    """Sound in which nobody speaks has an empty final transcript."""
    async with subject.recognizer() as (recognizer, server):
        server.utterance = Utterance(partials=(), final="")
        transcripts = await heard(recognizer, hearing())
    assert transcripts[-1].is_final
    assert transcripts[-1].text == ""


async def test_word_times(subject: Subject) -> None:
    """The final transcript says when each word was said."""
    async with subject.recognizer() as (recognizer, server):
        *_, final = await heard(recognizer, hearing())
    said = server.utterance.final.split()
    assert [letters(each.text) for each in final.words] == [letters(each) for each in said]
    for place, word in enumerate(final.words):
        assert word.start_s == pytest.approx(place * WORD_S, abs=0.01)
        assert word.end_s == pytest.approx((place + 1) * WORD_S, abs=0.01)


async def test_word_times_of_the_next_utterance(subject: Subject) -> None:
    """Times count from the beginning of each utterance, also on a connection that served before."""
    async with subject.recognizer() as (recognizer, _):
        *_, first = await heard(recognizer, hearing())
        *_, second = await heard(recognizer, hearing())
    assert [each.start_s for each in second.words] == pytest.approx(
        [each.start_s for each in first.words], abs=0.01
    )


async def test_turn_end(subject: Subject) -> None:
    """The vendor hears that the turn has ended, and the final transcript does not wait longer."""
    async with subject.recognizer() as (recognizer, server):
        server.utterance = Utterance(ends_itself=True)
        assert recognizer.detects_turn_ends
        endless = sound(then=asyncio.Event())
        transcripts = [each async for each in recognizer.transcribe(endless, hearing())]
    final = transcripts[-1]
    assert (final.text, final.is_final) == (server.utterance.final, True)
    assert final.turn_end is TurnEnd.CERTAIN


async def test_likely_turn_end(subject: Subject) -> None:
    """A likely end is reported before the certain one, and taken back when the user goes on."""
    async with subject.recognizer() as (recognizer, server):
        server.utterance = Utterance(ends_itself=True)
        endless = sound(then=asyncio.Event())
        transcripts = [each async for each in recognizer.transcribe(endless, hearing())]
    ends = [(each.turn_end, each.text) for each in transcripts if each.turn_end]
    final = server.utterance.final
    assert [end for end, _ in ends] == [
        *(TurnEnd.LIKELY, TurnEnd.RESUMED, TurnEnd.LIKELY, TurnEnd.CERTAIN)
    ]
    assert [text for end, text in ends if end is not TurnEnd.RESUMED][-2:] == [final, final]


async def test_language(subject: Subject) -> None:
    """The language is named for each utterance, also on a new connection."""
    async with subject.recognizer() as (recognizer, server):
        for language in ("fr-FR", "en-US"):
            await heard(recognizer, hearing(language))
            await server.close_idle()
            await heard(recognizer, hearing(language))
    assert [each.languages for each in server.sessions] == [("fr",), ("fr",), ("en",), ("en",)]


async def test_hot_words(subject: Subject) -> None:
    """Names to expect are named for each utterance, also on a new connection."""
    async with subject.recognizer() as (recognizer, server):
        for hot_words in (("Parley", "Ada Lovelace"), ("Grace Hopper",), ()):
            await heard(recognizer, hearing("en-US", *hot_words))
            await server.close_idle()
            await heard(recognizer, hearing("en-US", *hot_words))
    first, _, second, _, none, _ = (each.hot_words for each in server.sessions)
    assert (first, second, none) == (("Parley", "Ada Lovelace"), ("Grace Hopper",), ())
    assert [each.hot_words for each in server.sessions[1::2]] == [first, second, none]


async def test_cancel(subject: Subject) -> None:
    """Closing the iterator ends the utterance at the vendor; the next one is not mixed with it."""
    never = asyncio.Event()
    async with subject.recognizer() as (recognizer, server):
        transcripts = recognizer.transcribe(sound(then=never), hearing())
        assert (await anext(transcripts)).text
        await transcripts.aclose()  # type: ignore[attr-defined]
        await until(lambda: server.sessions[0].has_ended)
        assert not server.sessions[0].is_finished
        size = len(server.sessions[0].audio)
        (*_, final) = await heard(recognizer, hearing())
        assert len(server.sessions[0].audio) == size
    assert final.text == server.utterance.final


async def test_connection_lost(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is lost while the user speaks is noticed although no answer is due."""
    monkeypatch.setattr(client, "PING_S", 0.1)
    monkeypatch.setattr(client, "CLOSE_S", 0.1)
    async with subject.recognizer() as (recognizer, server):
        transcripts = recognizer.transcribe(sound(then=asyncio.Event()), hearing())
        await anext(transcripts)
        server.lose_idle()
        with pytest.raises(ProviderError) as caught:
            _ = [each async for each in transcripts]
    assert caught.value.transient


async def test_source_fails(subject: Subject) -> None:
    """What goes wrong with the sound itself is no failure of the vendor, and ends the utterance."""

    async def broken() -> AsyncIterator[bytes]:
        yield SPEECH
        raise LookupError("the microphone is gone")

    async with subject.recognizer() as (recognizer, server):
        with pytest.raises(LookupError):
            _ = [each async for each in recognizer.transcribe(broken(), hearing())]
        await until(lambda: all(each.has_ended for each in server.sessions))


async def test_utterances_at_once(subject: Subject) -> None:
    """Conversations share a recognizer, each with its own utterance."""
    async with subject.recognizer() as (recognizer, server):
        finals: list[list[Transcript]] = await asyncio.gather(
            *(heard(recognizer, hearing()) for _ in range(3))
        )
        assert [each[-1].text for each in finals] == [server.utterance.final] * 3
        assert [each.audio[: len(SPEECH)] == SPEECH for each in server.sessions] == [True] * 3


def letters(text: str) -> str:
    """Return a word without its case and punctuation."""
    return "".join(filter(str.isalnum, text)).lower()
