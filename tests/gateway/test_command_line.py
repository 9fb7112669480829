"""What the command line makes of a gateway's answers."""

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from parley.gateway_client.answers import GatewayError, problem_error
from parley.gateway_client.connection import key_of
from parley.gateway_client.gateway import Gateway, Question
from parley.gateway_client.stopping import stop_all
from parley.talk import Call
from services.runtime.failures.reasons import Reason
from tests.support.gateway_rig import RunningGateway, running_gateway
from tests.support.scripted_providers import ScriptedChat
from tests.support.speech_rig import Script, speech_rig

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


async def test_tasks_that_cannot_be_stopped_are_told_after_all_were_tried(
    gateway: RunningGateway,
) -> None:
    stuck, free = await gateway.create("stream_1"), await gateway.create("stream_2")
    gateway.tasks.stuck.add(stuck)
    shown = StringIO()
    with pytest.raises(GatewayError) as told:
        await stop_all(Gateway(gateway.client), Console(file=shown, width=400))
    assert str(told.value).startswith("1 of 2 could not be stopped.")
    assert told.value.reason == Reason.DEPENDENCY_UNAVAILABLE
    assert shown.getvalue() == f"{free} stopped\n"


def test_who_has_no_key_is_told_where_it_comes_from() -> None:
    refusal = {"title": "Credentials are missing", "reason": Reason.CREDENTIALS_INVALID}
    assert "--api-key" in str(problem_error(refusal))
    assert "--api-key" not in str(problem_error({"reason": Reason.TASK_NOT_FOUND}))


def test_a_key_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("first,second\n")
    assert key_of({"GATEWAY_API_KEYS": " one , two"}) == "one"
    assert key_of({"GATEWAY_API_KEYS_FILE": str(tmp_path / "keys")}) == "first"
    assert key_of({}) is None
    with pytest.raises(GatewayError, match="GATEWAY_API_KEYS_FILE"):
        key_of({"GATEWAY_API_KEYS_FILE": str(tmp_path / "none")})
