"""What a client says on its way to speech, over streams that come and go."""

import pytest

from digitalhuman.conversation.v1 import conversation_pb2 as events_pb
from digitalhuman.speech.v1 import speech_pb2 as pb
from gateway.backend import turns
from gateway.live.uplink import KEPT_SENTENCES, Uplink

END = turns.interruption()[0]
COMMIT = pb.ConverseRequest(commit=pb.ConverseCommit())


def told(request_id: str) -> events_pb.ConversationEvent:
    """Return the event that a turn of this request began."""
    return events_pb.ConversationEvent(turn_started=events_pb.TurnStarted(request_id=request_id))


async def written(uplink: Uplink, *requests: pb.ConverseRequest) -> list[pb.ConverseRequest]:
    """Return all that a stream carries, which breaks when it was given the last of these."""
    for request in requests:
        uplink.add(request)
    carried = []
    stream = uplink.requests()
    async for request in stream:
        carried.append(request)
        if request is requests[-1]:
            break
    await stream.aclose()
    return carried


def text(request_id: str) -> pb.ConverseRequest:
    return turns.written("Why?", request_id=request_id)[0]


def say(request_id: str, priority: str = "NORMAL") -> pb.ConverseRequest:
    return turns.said("Well.", priority, request_id=request_id)[0]


async def test_a_sentence_is_kept_until_its_turn_is_told() -> None:
    uplink = Uplink(keeps_utterances=False)
    one, two, three, four = text("1"), say("2"), say("3", "LOW"), text("4")
    assert await written(uplink, one, two, three, four) == [one, two, three, four]
    uplink.note(told("1"))
    uplink.note(told("unknown"))
    uplink.note(events_pb.ConversationEvent(turn_finished=events_pb.TurnFinished()))
    # What is dropped where something else is said, is not said later instead.
    last = text("5")
    assert await written(uplink, last) == [two, four, last]


async def test_a_turn_may_be_told_before_its_writer_knows() -> None:
    uplink = Uplink(keeps_utterances=False)
    await written(uplink, text("1"))
    uplink.note(told("1"))
    last = text("2")
    assert await written(uplink, last) == [last]


async def test_an_interruption_takes_back_what_was_sent_before() -> None:
    uplink = Uplink(keeps_utterances=False)
    await written(uplink, text("1"), say("2"), END, text("3"))
    last = text("4")
    assert await written(uplink, last) == [text("3"), last]


@pytest.mark.parametrize("keeps", [True, False])
async def test_an_utterance_is_kept_until_its_commit(keeps: bool) -> None:
    uplink = Uplink(keeps_utterances=keeps)
    sound = pb.ConverseRequest(audio=pb.ConverseAudio(pcm=bytes(640)))
    question = text("1")
    assert await written(uplink, sound, question) == [sound, question]
    again = [sound, question] if keeps else [question]
    assert await written(uplink, COMMIT, text("2")) == [*again, COMMIT, text("2")]
    last = text("3")
    assert await written(uplink, last) == [question, text("2"), last]


async def test_no_more_is_kept_than_can_wait() -> None:
    uplink = Uplink(keeps_utterances=False)
    sentences = [text(str(number)) for number in range(KEPT_SENTENCES + 3)]
    await written(uplink, *sentences)
    last = text("last")
    assert await written(uplink, last) == [*sentences[3:], last]
