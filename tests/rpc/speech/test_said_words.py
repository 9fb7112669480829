"""Words to say that nobody cuts off, and words that are taken back."""

import asyncio
import uuid

from digitalhuman.conversation.v1 import conversation_pb2 as events_pb
from digitalhuman.speech.v1 import speech_pb2 as pb
from tests.support.converse import COMMIT, INTERRUPT, Talk, audio, say, text
from tests.support.loudness import silent, voiced
from tests.support.speech_rig import speech_rig

NOTICE = "This call is recorded."


def said(words: str, request_id: str = "", *, interruptible: bool = True) -> pb.ConverseRequest:
    """Return words to say."""
    return pb.ConverseRequest(
        say=pb.ConverseSay(text=words, request_id=request_id, interruptible=interruptible)
    )


def withdrawal(request_id: str) -> pb.ConverseRequest:
    """Return what takes words back."""
    return pb.ConverseRequest(withdraw=pb.ConverseWithdraw(request_id=request_id))


def finished(talk: Talk) -> list[events_pb.TurnFinished]:
    """Return how the turns ended."""
    return [each.turn_finished for each in talk.events if each.HasField("turn_finished")]


async def test_neither_text_nor_voice_nor_interrupt_cuts_it_off() -> None:
    async with speech_rig() as rig, Talk.open(rig) as talk:
        rig.synthesizer.first_s = 0.2
        await talk.send(said(NOTICE, interruptible=False))
        await talk.until("turn_started")
        utterance = audio(silent(0.5) + voiced(1) + silent(0.5))
        high = say("Now!", pb.SAY_PRIORITY_HIGH)
        await talk.send(INTERRUPT, text("What?"), *utterance, COMMIT, high)
        await talk.finish()
        notice, *others = finished(talk)
        assert (notice.heard_text, notice.interrupted) == (NOTICE, False)
        started = [each.turn_started for each in talk.events if each.HasField("turn_started")]
        assert [each.user_text for each in started] == ["", "What?", "hello there", ""]
        assert others


async def test_it_waits_to_be_said_after_an_interrupt() -> None:
    async with speech_rig() as rig, Talk.open(rig) as talk:
        rig.avatars.plays_s = 0.1
        await talk.send(text("Tell me."))
        await talk.until("playback_started")
        rig.avatars.plays_s = None
        await talk.send(said("Dropped."), said(NOTICE, interruptible=False), INTERRUPT)
        await talk.finish()
        cut, notice = finished(talk)
        assert cut.interrupted
        assert notice.heard_text == NOTICE


async def test_words_that_wait_are_not_said_once_they_are_taken_back() -> None:
    async with speech_rig() as rig, Talk.open(rig) as talk:
        rig.avatars.plays_s = 0.1
        request_id = str(uuid.uuid4())
        await talk.send(text("Tell me."))
        await talk.until("playback_started")
        await talk.send(
            said("Not this.", request_id, interruptible=False), withdrawal(request_id), INTERRUPT
        )
        assert (await talk.finish()).count("turn_started") == 1
        assert "Not this." not in rig.synthesizer.spoken


async def test_words_are_cut_off_when_they_are_taken_back_and_the_ledger_is_true() -> None:
    async with speech_rig() as rig, Talk.open(rig) as talk:
        rig.avatars.plays_s = 0.5
        request_id = str(uuid.uuid4())
        await talk.send(said("One two three four five six seven eight.", request_id))
        await talk.until("playback_started")
        await talk.send(withdrawal(request_id), withdrawal(str(uuid.uuid4())))
        async with asyncio.timeout(10):
            await talk.finish()
        [cut] = finished(talk)
        assert cut.interrupted
        assert cut.heard_text
        assert cut.reply_text.startswith(cut.heard_text)
        assert cut.heard_text != cut.reply_text


async def test_a_questions_reply_is_not_taken_back() -> None:
    async with speech_rig() as rig, Talk.open(rig) as talk:
        request_id = str(uuid.uuid4())
        asked = pb.ConverseRequest(text=pb.ConverseText(text="Tell me.", request_id=request_id))
        await talk.send(asked, withdrawal(request_id))
        await talk.finish()
        [answer] = finished(talk)
        assert not answer.interrupted
