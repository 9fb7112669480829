"""The catalogue of reasons is one thing in proto, code and documentation."""

import re
from pathlib import Path

import grpc
import pytest

from digitalhuman.errors.v1 import errors_pb2 as pb
from gateway.contract.problems import to_problem
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import RULES, Reason, Recovery
from tools.errors_page import PAGE, page

ROOT = Path(__file__).parents[2]
PROTOS = sorted((ROOT / "protos").rglob("*.proto"))
NAME = re.compile(r"\b[A-Z][A-Z]+(?:_[A-Z]+)*\b")
# Words in capitals that are no reasons.
OTHER_WORDS = {"OK", "RPC", "AUDIO", "MANUAL", "SERVER", "MP3", "WAV", "STARTING", "STOPPING"}


def test_reasons_are_the_values_of_the_proto() -> None:
    values = {value.name for value in pb.ErrorReason.DESCRIPTOR.values}
    assert {f"ERROR_REASON_{reason}" for reason in Reason} | {"ERROR_REASON_UNSPECIFIED"} == values


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_full_rule(reason: Reason) -> None:
    rule = RULES[reason]
    assert isinstance(rule.code, grpc.StatusCode)
    assert rule.code is not grpc.StatusCode.OK
    assert 400 <= rule.http_status < 600
    assert rule.title
    assert rule.action.endswith(".")


@pytest.mark.parametrize("reason", Reason)
def test_http_status_blames_the_same_side_as_the_code(reason: Reason) -> None:
    servers_fault = {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DATA_LOSS,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNIMPLEMENTED,
    }
    rule = RULES[reason]
    if reason is Reason.METHOD_NOT_ALLOWED:
        # HTTP blames the caller for a wrong method, gRPC has one code for both.
        assert rule.http_status == 405
    else:
        assert (rule.http_status >= 500) == (rule.code in servers_fault)


@pytest.mark.parametrize("reason", Reason)
def test_what_passes_is_not_the_callers_fault(reason: Reason) -> None:
    # The cloud does answer, but it has no room: a limit, though it is not the caller's.
    is_full = reason in (Reason.CLOUD_BUSY, Reason.CLOUD_NO_CAPACITY)
    is_limit = is_full or RULES[reason].code is grpc.StatusCode.RESOURCE_EXHAUSTED
    if RULES[reason].is_passing:
        assert RULES[reason].recovery is (Recovery.LIMIT if is_limit else Recovery.OUTAGE)
        assert RULES[reason].http_status in (421, 429, 503, 504)


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make docs`"


def rpc_comments() -> list[tuple[str, str]]:
    """Every RPC of the contracts with the comment above it."""
    found = []
    for path in PROTOS:
        comment = ""
        for line in path.read_text(encoding="utf-8").splitlines():
            text = line.strip()
            if text.startswith("//"):
                comment += text.removeprefix("//") + "\n"
            else:
                if named := re.match(r"(?:rpc|service) (\w+)", text):
                    found.append((named[1], comment))
                comment = ""
    return found


@pytest.mark.parametrize(("rpc", "comment"), rpc_comments(), ids=lambda value: value.split("\n")[0])
def test_comments_name_real_reasons(rpc: str, comment: str) -> None:
    failures = re.findall(r"[Ff]ails? with ([^.]+)\.", comment.replace("\n", " "))
    failures += re.findall(r"(?<=ask the cloud with )([^.]+)\.", comment.replace("\n", " "))
    names = {name for text in failures for name in NAME.findall(text)}
    assert bool(names) == bool(failures)
    assert names <= set(Reason)


@pytest.mark.parametrize("stream", ["Converse", "Transcribe", "Synthesize"])
def test_the_page_of_contracts_names_the_reasons_of_a_stream(stream: str) -> None:
    page = (ROOT / "docs" / "contracts.md").read_text(encoding="utf-8")
    [row] = re.findall(rf"^\| `{stream}` \| (.*) \| (.*) \|$", page, re.MULTILINE)
    comment = dict(rpc_comments())[stream]
    failures = re.findall(
        r"([\w ]*)fails? with ([^.]+)\.", comment.replace("\n", " "), re.IGNORECASE
    )
    of_streams: set[str] = set()
    of_turns: set[str] = set()
    for subject, text in failures:
        (of_turns if "turn" in subject else of_streams).update(NAME.findall(text))
    assert [set(NAME.findall(cell)) for cell in row] == [of_streams, of_turns]


def test_comments_were_read() -> None:
    named = [rpc for rpc, comment in rpc_comments() if "ails with" in comment]
    assert len(named) >= 15


def test_problems_say_whether_the_failure_passes() -> None:
    said = {
        reason: to_problem(ServiceError(reason, "It failed."), instance="/").recovery
        for reason in Reason
    }
    assert said[Reason.CAPACITY_EXCEEDED] == "LIMIT"
    assert said[Reason.JOURNAL_UNAVAILABLE] == "OUTAGE"
    assert said[Reason.TASK_NOT_FOUND] == "NONE"
