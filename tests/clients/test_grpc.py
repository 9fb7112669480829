"""Small gRPC clients in several languages, made from the bundle of protos, on a running stack."""

import os
import secrets
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal

from tests.clients.conftest import Question
from tests.clients.programs import PROGRAMS, Built, build, provide_compiler
from tests.clients.toolchains import require
from tests.support.proxy import proxying
from tests.support.stack import Stack
from tests.support.wer import word_error_rate
from tools.protos_bundle import bundle

UNKNOWN_TASK = "task_0000000000000000000000none"
QUESTION_ERROR_LIMIT = 0.5
ANSWER_ERROR_LIMIT = 0.2


@pytest.fixture(scope="module")
def protos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle, unpacked."""
    folder = tmp_path_factory.mktemp("protos")
    with tarfile.open(bundle(folder)) as archive:
        archive.extractall(folder, filter="data")
    (unpacked,) = folder.glob("*/")
    return unpacked


@pytest.fixture(scope="module", params=PROGRAMS, ids=lambda program: program.name)
def client(
    request: pytest.FixtureRequest, protos: Path, tmp_path_factory: pytest.TempPathFactory
) -> Built:
    """A client in each language."""
    require(request.param.toolchain)
    return build(request.param, protos, provide_compiler(tmp_path_factory.mktemp("tools")))


@pytest.fixture
def environment(stack: Stack, question: Question) -> dict[str, str]:
    """What a client is told of the stack, and a stream that no other test has."""
    return {
        "PARLEY_TASK": stack.target("task"),
        "PARLEY_SPEECH": stack.target("speech"),
        "PARLEY_SERVICE_TOKEN": stack.service_token,
        "PARLEY_PERSONA": question.persona_id,
        "PARLEY_STREAM_ID": f"stream-{secrets.token_hex(8)}",
        # Enough on a loaded machine.
        "PARLEY_DEADLINE_S": "600",
    }


def check_answer(question: Question, heard: dict[str, Any], transcript: dict[str, Any]) -> None:
    """What was understood is the question, and what was heard its answer."""
    assert word_error_rate(question.text, transcript["text"]) <= QUESTION_ERROR_LIMIT
    assert word_error_rate(question.answer, heard["text"]) <= ANSWER_ERROR_LIMIT


def test_a_spoken_question_is_answered(
    client: Built, question: Question, environment: dict[str, str]
) -> None:
    with client.running(question.wav, environment) as run:
        assert run.to_the_end() == 0
    assert question.persona_id in [line["id"] for line in run.told("persona")]
    (transcript,), (heard,) = run.told("transcript"), run.told("heard")
    check_answer(question, heard, transcript)
    states = [line["state"].removeprefix("TASK_STATE_") for line in run.told("state")]
    assert states[-1] == "STOPPED"
    assert "STREAMING" in states
    assert not run.told("error")


def test_a_bundle_that_is_missing_is_named(client: Built, question: Question) -> None:
    environment = os.environ | {"PARLEY_PROTOS": "", "PARLEY_SERVICE_TOKEN": "none"}
    words = [*client.program.runs, str(question.wav)]
    ended = subprocess.run(
        words, cwd=client.program.folder, env=environment, capture_output=True, text=True
    )
    assert ended.returncode == 2
    assert "set it to the folder of the unpacked bundle" in ended.stderr


def test_a_bundle_that_is_missing_is_named_by_the_build(client: Built) -> None:
    ended = client.program.run(client.program.generates, protos="")
    assert ended.returncode
    assert "must be the folder of the unpacked bundle" in ended.stdout


def test_an_unknown_task_is_named(
    client: Built, question: Question, environment: dict[str, str]
) -> None:
    with client.running(question.wav, environment | {"PARLEY_TASK_ID": UNKNOWN_TASK}) as run:
        assert run.to_the_end() == 1
    (error,) = run.told("error")
    assert (error["code"], error["reason"]) == ("NOT_FOUND", "TASK_NOT_FOUND")


def test_a_bad_field_is_named(
    client: Built, question: Question, environment: dict[str, str]
) -> None:
    with client.running(question.wav, environment | {"PARLEY_STREAM_ID": "no stream"}) as run:
        assert run.to_the_end() == 1
    (error,) = run.told("error")
    assert (error["code"], error["reason"]) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
    assert error["fields"] == ["stream_id"]


def test_refused_credentials_are_told(
    client: Built, question: Question, environment: dict[str, str]
) -> None:
    with client.running(question.wav, environment | {"PARLEY_SERVICE_TOKEN": "stolen"}) as run:
        assert run.to_the_end() == 1
    (error,) = run.told("error")
    assert (error["code"], error["reason"]) == ("UNAUTHENTICATED", "CREDENTIALS_INVALID")


def test_an_expired_deadline_is_told_and_the_task_stopped(
    client: Built, question: Question, environment: dict[str, str]
) -> None:
    # Less than it takes to say the question.
    with client.running(question.wav, environment | {"PARLEY_DEADLINE_S": "2"}) as run:
        assert run.to_the_end() == 1
    (error,) = run.told("error")
    assert error["code"] == "DEADLINE_EXCEEDED"
    assert run.told("state")[-1]["state"] == "TASK_STATE_STOPPED"


def test_a_server_that_is_not_there_yet_is_waited_for(
    client: Built,
    question: Question,
    environment: dict[str, str],
    stack: Stack,
    portal: BlockingPortal,
) -> None:
    with portal.wrap_async_context_manager(proxying(f"http://{stack.target('speech')}")) as proxy:
        portal.call(proxy.cut)
        changed = {"PARLEY_SPEECH": proxy.address, "PARLEY_TASK_ID": UNKNOWN_TASK}
        with client.running(question.wav, environment | changed) as run:
            # Without the service config the call fails by now.
            portal.call(proxy.refuses)
            portal.call(proxy.mend)
            run.to_the_end()
    assert question.persona_id in [line["id"] for line in run.told("persona")]
    (error,) = run.told("error")
    assert error["reason"] == "TASK_NOT_FOUND"


@pytest.mark.parametrize("is_crash", [True, False], ids=["crash", "restart"])
def test_a_server_that_goes_away_meanwhile_is_asked_again(
    client: Built,
    question: Question,
    environment: dict[str, str],
    stack: Stack,
    portal: BlockingPortal,
    is_crash: bool,
) -> None:
    with client.running(question.wav, environment) as run:
        run.until("ready")
        portal.call(stack.kill if is_crash else stack.stop, "speech")
        portal.call(stack.start, ["speech"])
        assert run.to_the_end() == 0
    broken = run.told("reopening")[0]
    if is_crash:
        assert broken["code"] == client.program.broken
    else:
        assert (broken["code"], broken["reason"]) == ("UNAVAILABLE", "DRAINING")
    (transcript,), (heard,) = run.told("transcript"), run.told("heard")
    check_answer(question, heard, transcript)
