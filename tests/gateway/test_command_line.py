"""What `parley talk` shows of a call, before a real speech service."""

from io import StringIO

from rich.console import Console

from parley.gateway import Gateway, Question
from parley.talk import Call
from tests.support.gateway import running_gateway
from tests.support.speech import Script, ScriptedChat, speech_rig

FIRST_TASK = f"task_{1:026d}"
QUESTION = "What does it cost [for a child]?"
REPLY = (
    "For a child below twelve years it is $5, for everybody else who comes [with it] it is $10, "
    "and that is all."
)


async def test_a_reply_is_shown_as_it_is_written() -> None:
    script = Script(chat=ScriptedChat(deltas=(REPLY,)))
    async with speech_rig(script) as rig, running_gateway(speech_target=rig.address) as gateway:
        rig.tasks.add(FIRST_TASK)
        shown = StringIO()
        call = Call(Gateway(gateway.client), Console(file=shown, width=400), is_json=False)
        await call.run(Question(text=QUESTION), persona_id=None, language_code=None)
    told = [line.partition(":") for line in shown.getvalue().splitlines()]
    replies = [text.strip() for name, _, text in told if name == "Reply"]
    assert len(replies) > 1
    assert " ".join(replies) == REPLY
    assert f"You:   {QUESTION}" in shown.getvalue()
    assert f"Heard: {REPLY}" in shown.getvalue()
