"""Errors keep their meaning on the way through a status, and foreign ones lose their text."""

import asyncio

import grpc
import pytest
from google.rpc import status_pb2
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.failures.errors import (
    ServiceError,
    Violation,
    from_exception,
    from_rpc_error,
    from_status,
    invalid,
    to_status,
)
from services.runtime.failures.reasons import RULES, Reason

NO_METADATA = grpc.aio.Metadata()
WORDS = st.text(st.characters(codec="utf-8"), max_size=20)


@given(
    reason=st.sampled_from(Reason),
    message=WORDS,
    violations=st.lists(st.builds(Violation, field=WORDS, rule=WORDS, description=WORDS)),
    retry_after_ms=st.none() | st.integers(0, 10**7),
    task_id=WORDS,
)
def test_an_error_survives_its_status(
    reason: Reason,
    message: str,
    violations: list[Violation],
    retry_after_ms: int | None,
    task_id: str,
) -> None:
    retry_after_s = None if retry_after_ms is None else retry_after_ms / 1000
    error = ServiceError(
        reason, message, violations=violations, retry_after_s=retry_after_s, task_id=task_id
    )
    status = to_status(error)
    assert status.code == RULES[reason].code.value[0]
    back = from_status(status)
    assert back is not None
    assert (back.reason, back.message, back.violations) == (reason, message, tuple(violations))
    assert back.metadata == {"task_id": task_id}
    assert back.retry_after_s == pytest.approx(retry_after_s)


def test_a_status_without_our_reason_is_none_of_ours() -> None:
    assert from_status(status_pb2.Status(code=5, message="no such thing")) is None


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (grpc.StatusCode.UNAVAILABLE, Reason.DEPENDENCY_UNAVAILABLE),
        (grpc.StatusCode.DEADLINE_EXCEEDED, Reason.DEADLINE_EXCEEDED),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, Reason.DEPENDENCY_UNAVAILABLE),
        (grpc.StatusCode.UNIMPLEMENTED, Reason.NOT_SUPPORTED),
        (grpc.StatusCode.UNKNOWN, Reason.DEPENDENCY_UNAVAILABLE),
        (grpc.StatusCode.PERMISSION_DENIED, Reason.DEPENDENCY_UNAVAILABLE),
    ],
)
def test_a_failure_of_grpc_itself_keeps_only_its_meaning(
    code: grpc.StatusCode, reason: Reason
) -> None:
    foreign = grpc.aio.AioRpcError(
        code, NO_METADATA, NO_METADATA, details="connect to 10.1.2.3:50051 failed"
    )
    error = from_rpc_error(foreign)
    assert error.reason is reason
    assert "10.1.2.3" not in error.message


def test_details_that_do_not_fit_are_not_believed() -> None:
    status = to_status(invalid("room_id", "string.min_len", "must not be empty"))
    for details in (status.SerializeToString(), b"\xff\xff"):
        trailers = grpc.aio.Metadata(("grpc-status-details-bin", details))
        foreign = grpc.aio.AioRpcError(grpc.StatusCode.RESOURCE_EXHAUSTED, NO_METADATA, trailers)
        assert from_rpc_error(foreign).reason is Reason.DEPENDENCY_UNAVAILABLE


def test_the_first_known_error_of_a_group_counts() -> None:
    wanted = invalid("room_id", "string.min_len", "must not be empty")
    group = BaseExceptionGroup("tasks", [asyncio.CancelledError(), ExceptionGroup("", [wanted])])
    assert from_exception(group) is wanted
    assert from_exception(ExceptionGroup("", [ValueError("secret")])) is None


def test_a_timeout_is_a_deadline() -> None:
    error = from_exception(TimeoutError("to 10.1.2.3"))
    assert error is not None
    assert error.reason is Reason.DEADLINE_EXCEEDED
    assert "10.1.2.3" not in error.message
