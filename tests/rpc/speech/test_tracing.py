"""A turn is traced below the stream that asked for it, whoever opened the conversation."""

from tests.support.converse import Talk, text
from tests.support.speech_rig import speech_rig


def traceparent(number: int) -> str:
    return f"00-{number:032x}-{number:016x}-01"


async def test_each_stream_has_its_turns_in_its_own_trace() -> None:
    async with (
        speech_rig() as rig,
        Talk.open(rig, metadata=(("traceparent", traceparent(1)),)) as one,
        Talk.open(rig, metadata=(("traceparent", traceparent(2)),)) as two,
    ):
        for talk in (one, two, one):
            await talk.send(text("Why is that so?"))
            await one.until("turn_finished")
        traces = [drive.traceparent.split("-")[1] for drive in rig.avatars.drives]
        assert [int(each, 16) for each in traces] == [1, 2, 1]


async def test_a_trace_that_is_none_is_ignored() -> None:
    async with (
        speech_rig() as rig,
        Talk.open(rig, metadata=(("traceparent", "00-zz"),)) as talk,
    ):
        await talk.send(text("Why is that so?"))
        await talk.until("turn_finished")
        assert [drive.traceparent for drive in rig.avatars.drives] == [""]
