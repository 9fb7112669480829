"""The worked example of Converse is true: what it sends is answered by what it shows."""

import re
from pathlib import Path

from google.protobuf import text_format
from google.protobuf.message import Message

from digitalhuman.speech.v1 import speech_pb2 as pb
from services.speech.ports.errors import ProviderError
from services.speech.ports.stages import Stage
from tests.support.converse import Talk, audio
from tests.support.loudness import silent, voiced
from tests.support.scripted_providers import ScriptedChat, ScriptedRecognizer
from tests.support.speech_rig import Script, speech_rig

ROOT = Path(__file__).parents[3]
PROTO = ROOT / "protos/digitalhuman/speech/v1/speech.proto"
PAGE = ROOT / "docs/contracts.md"

USER_AUDIO = silent(0.5) + voiced(1) + silent(0.5)
HEARD_S = 0.55
"""Until then the scripted voice has said "We open at"."""


def example() -> str:
    """Return the example in the comment of Converse."""
    comment = PROTO.read_text(encoding="utf-8").partition("  rpc Converse(")[0]
    lines = comment.rpartition("  // Example,")[2].splitlines()[2:]
    return "\n".join(line.removeprefix("  //").removeprefix("   ") for line in lines if line)


def messages() -> list[pb.ConverseRequest | pb.ConverseResponse]:
    """Return its messages in order."""
    found: list[pb.ConverseRequest | pb.ConverseResponse] = []
    uncommented = re.sub(r"^#.*\n?", "", example(), flags=re.MULTILINE)
    for sign, body in re.findall(r"^([<>]) ((?:.*\n?)(?:^ .*\n?)*)", uncommented, re.MULTILINE):
        kind = pb.ConverseRequest() if sign == ">" else pb.ConverseResponse()
        found.append(text_format.Parse(body, kind))
    return found


def is_shown(shown: Message, told: Message) -> bool:
    """Whether all that an example shows of a message was told."""
    return all(
        is_shown(value, getattr(told, field.name))
        if isinstance(value, Message)
        else value == getattr(told, field.name)
        for field, value in shown.ListFields()
    )


async def test_the_example_is_what_happens() -> None:
    script = Script(
        recognizer=ScriptedRecognizer(hypotheses=("When do you open?",)),
        chat=ScriptedChat(
            deltas=("",), error=ProviderError(Stage.CHAT, "scripted", "away", transient=True)
        ),
    )
    setup, ready, *steps = messages()
    assert isinstance(setup, pb.ConverseRequest)
    async with speech_rig(script) as rig, Talk.open(rig, setup) as talk:
        rig.avatars.plays_s = HEARD_S
        assert talk.ready is not None
        assert isinstance(ready, pb.ConverseResponse)
        assert is_shown(ready.ready, talk.ready)
        for step in steps:
            match step:
                case pb.ConverseRequest(audio=pb.ConverseAudio(pcm=pcm)) if pcm:
                    await talk.send(*audio(USER_AUDIO))
                case pb.ConverseRequest():
                    await talk.send(step)
                case pb.ConverseResponse(event=event):
                    told = await talk.until(str(event.WhichOneof("event")))
                    assert is_shown(event, told), told
        shown = [step.event.sequence for step in steps if isinstance(step, pb.ConverseResponse)]
        assert [event.sequence for event in talk.events] == shown
        await talk.finish()
        assert len(talk.events) == len(shown)


def test_the_page_shows_the_same_example() -> None:
    assert f"```\n{example()}\n```" in PAGE.read_text(encoding="utf-8")
