"""Callbacks are believed when they are genuine and fresh, and read whatever they leave out."""

import asyncio
import json
import sqlite3
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.contextvars import bound_contextvars, merge_contextvars
from structlog.testing import capture_logs

from services.avatar.vendor.callback import (
    Callback,
    CallbackRefusedError,
    CallbackVerifier,
    DriveCallback,
    OtherCallback,
    Refusal,
    TaskCallback,
    sign_callback,
)
from services.avatar.vendor.messages import LONGEST_TOLD, DriveStatus, TaskStatus
from services.avatar.vendor.replays import StoredSignatures, stored_signatures
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[3] / "data" / "zego_vectors.json").read_text(encoding="utf-8")
)["callback_signature"]["vectors"]
SECRET = "callback-secret"
APP_ID = 42
NOW = 1_700_000_000
MEMORIES = ExitStack()
"""Closed with the process."""


def make_body(*, timestamp: str = str(NOW), nonce: str = "n1", **changes: Any) -> bytes:
    callback = {
        "AppId": APP_ID,
        "EventType": 4,
        "Nonce": nonce,
        "Timestamp": timestamp,
        "Signature": sign_callback(secret=SECRET, timestamp=timestamp, nonce=nonce),
        "EventTime": NOW * 1000 + 250,
        "TaskId": "task-1",
        "Detail": {"DriveId": "drive-1", "Status": 2},
    }
    return json.dumps(callback | changes).encode()


@contextmanager
def remembering(path: Path | str) -> Iterator[tuple[sqlite3.Connection, StoredSignatures]]:
    """Signatures in a database, and the connection to it, which may be given trouble."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    with closing(connection), ThreadPoolExecutor(1) as thread:
        yield connection, StoredSignatures(connection, thread)


def make_verifier(path: Path | None = None) -> CallbackVerifier:
    seen = MEMORIES.enter_context(stored_signatures(path))
    return CallbackVerifier(app_id=APP_ID, secrets=["newer", SECRET], seen=seen)


def verify(
    verifier: CallbackVerifier, body: bytes, *, now: float = NOW, jumped_s: float = 0.0
) -> Callback:
    return asyncio.run(verifier.verify(body, now=now, jumped_s=jumped_s))


def refusal(verifier: CallbackVerifier, body: bytes, *, now: float = NOW) -> Refusal:
    with pytest.raises(CallbackRefusedError) as caught:
        verify(verifier, body, now=now)
    return caught.value.refusal


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_known_inputs_have_their_signature(vector: dict[str, Any]) -> None:
    signature = sign_callback(
        secret=vector["callback_secret"], timestamp=vector["timestamp"], nonce=vector["nonce"]
    )
    assert signature == vector["signature"]


def test_a_drive_report_is_read() -> None:
    assert verify(make_verifier(), make_body(), now=NOW) == DriveCallback(
        task_id="task-1",
        event_time_s=NOW + 0.25,
        drive_id="drive-1",
        status=DriveStatus.DRIVING,
    )


def test_a_task_report_is_read() -> None:
    detail = {"Status": 2, "RoomId": "r", "StreamId": "s", "FailReason": "no model"}
    assert verify(make_verifier(), make_body(EventType=3, Detail=detail), now=NOW) == TaskCallback(
        task_id="task-1",
        event_time_s=NOW + 0.25,
        status=TaskStatus.INITIALISATION_FAILED,
        room_id="r",
        stream_id="s",
        fail_reason="no model",
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"Extra": {"new": True}},
        {"Detail": {"DriveId": "drive-1", "Status": 2, "Duration": 3}},
        {"AppId": str(APP_ID)},
        {"EventTime": str(NOW * 1000 + 250)},
        {"EventType": 4.0, "Detail": {"DriveId": "drive-1", "Status": "2", "FailReason": None}},
    ],
)
def test_members_may_be_added_and_numbers_be_text(changes: dict[str, Any]) -> None:
    report = verify(make_verifier(), make_body(**changes), now=NOW)
    assert isinstance(report, DriveCallback)


def test_a_status_that_is_new_means_that_the_drive_is_over() -> None:
    body = make_body(Detail={"DriveId": "drive-1", "Status": 9})
    report = verify(make_verifier(), body, now=NOW)
    assert isinstance(report, DriveCallback)
    assert report.status is DriveStatus.INTERRUPTED


@pytest.mark.parametrize("status", [9, -1, "Streaming", None])
def test_a_state_of_a_task_that_is_new_is_unknown(status: object) -> None:
    report = verify(make_verifier(), make_body(EventType=3, Detail={"Status": status}))
    assert isinstance(report, TaskCallback)
    assert report.status is TaskStatus.UNKNOWN


def test_a_state_of_a_task_that_is_new_is_logged_once() -> None:
    status = "Suspended" * 100
    with capture_logs() as logs:
        for _ in range(2):
            verify(make_verifier(), make_body(EventType=3, Detail={"Status": status}))
    assert [(each["event"], each["status"]) for each in logs] == [
        ("task status not known", status[:LONGEST_TOLD])
    ]


def test_an_event_of_a_new_kind_is_let_through() -> None:
    report = verify(make_verifier(), make_body(EventType=7, Detail={"x": 1}), now=NOW)
    assert report == OtherCallback(task_id="task-1", event_time_s=NOW + 0.25, event_type=7)


@pytest.mark.parametrize("style", ["%{:02X}", "%{:02x}"])
def test_a_percent_encoded_body_is_read(style: str) -> None:
    encoded = "".join(style.format(byte) for byte in make_body()).encode()
    assert isinstance(verify(make_verifier(), encoded, now=NOW), DriveCallback)


@pytest.mark.parametrize("timestamp", [str(NOW), str(NOW * 1000)])
@pytest.mark.parametrize(
    ("skew", "is_fresh"), [(-601, False), (-599, True), (599, True), (601, False)]
)
def test_a_time_stamp_counts_seconds_or_milliseconds(
    timestamp: str, skew: int, is_fresh: bool
) -> None:
    body = make_body(timestamp=timestamp)
    if is_fresh:
        verify(make_verifier(), body, now=NOW + skew)
    else:
        assert refusal(make_verifier(), body, now=NOW + skew) is Refusal.STALE


def test_a_wrong_signature_is_refused() -> None:
    for changes in ({"Signature": "0" * 40}, {"Signature": "é"}, {"Nonce": "other"}):
        assert refusal(make_verifier(), make_body(**changes)) is Refusal.SIGNATURE


def test_a_callback_of_another_application_is_refused() -> None:
    assert refusal(make_verifier(), make_body(AppId=43)) is Refusal.FOREIGN


@pytest.mark.parametrize(
    "changes",
    [
        {"Detail": {"Status": 2}},
        {"Detail": {"DriveId": "d", "Status": "soon"}},
        {"Detail": []},
        {"EventType": None},
        {"EventTime": -1},
        {"EventTime": 10**400},
    ],
)
def test_what_lacks_its_members_is_refused(changes: dict[str, Any]) -> None:
    assert refusal(make_verifier(), make_body(**changes)) is Refusal.MALFORMED


@pytest.mark.parametrize("timestamp", ["", "now", "-5", "1.7e9", "9" * 5000])
def test_what_is_no_time_stamp_is_refused(timestamp: str) -> None:
    assert refusal(make_verifier(), make_body(timestamp=timestamp)) is Refusal.MALFORMED


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_without_another_error(body: bytes) -> None:
    assert refusal(make_verifier(), body) is Refusal.MALFORMED


def test_a_repeated_callback_is_taken_again() -> None:
    verifier = make_verifier()
    assert verify(verifier, make_body(), now=NOW) == verify(verifier, make_body(), now=NOW + 62)


def test_a_signature_is_good_for_one_body() -> None:
    verifier = make_verifier()
    verify(verifier, make_body(), now=NOW)
    assert refusal(verifier, make_body(TaskId="task-2")) is Refusal.REPLAYED


def test_digits_moved_between_nonce_and_time_stamp_are_a_replay() -> None:
    verifier = make_verifier()
    verify(verifier, make_body(nonce="00", timestamp=str(NOW * 10)), now=NOW * 10)
    moved = make_body(nonce="0", timestamp="0" + str(NOW * 10))
    assert refusal(verifier, moved, now=NOW * 10) is Refusal.REPLAYED


def test_a_signature_is_good_for_one_body_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "made" / "signatures.sqlite3"
    verify(make_verifier(path), make_body())
    restarted = make_verifier(path)
    assert refusal(restarted, make_body(TaskId="task-2")) is Refusal.REPLAYED
    verify(restarted, make_body(), now=NOW + 600)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_signatures_that_are_stale_are_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "signatures.sqlite3"
    verifier = make_verifier(path)
    for at in (NOW, NOW + 1000, NOW + 3000):
        verify(verifier, make_body(timestamp=str(at)), now=at)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM callbacks").fetchone() == (1,)


def test_a_signature_that_cannot_be_written_is_remembered_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "signatures.sqlite3"
    verify(make_verifier(path), make_body())
    with (
        remembering(path) as (connection, seen),
        bound_contextvars(process="avatar"),
        capture_logs(processors=[merge_contextvars]) as logs,
    ):
        connection.execute("PRAGMA query_only = ON")
        verifier = CallbackVerifier(app_id=APP_ID, secrets=[SECRET], seen=seen)
        assert refusal(verifier, make_body(TaskId="task-2")) is Refusal.REPLAYED
        assert [each["process"] for each in logs] == ["avatar"]
        for _ in "once", "again":
            verify(verifier, make_body(nonce="n2"))
        assert refusal(verifier, make_body(nonce="n2", TaskId="task-2")) is Refusal.REPLAYED


@pytest.mark.parametrize("is_closed", [True, False], ids=["closed", "without a table"])
def test_while_signatures_cannot_be_read_every_callback_may_be_a_replay(is_closed: bool) -> None:
    with remembering(":memory:") as (connection, seen):
        if is_closed:
            connection.close()
        verifier = CallbackVerifier(app_id=APP_ID, secrets=[SECRET], seen=seen)
        with pytest.raises(ServiceError) as caught:
            verify(verifier, make_body())
        assert caught.value.reason is Reason.DEPENDENCY_UNAVAILABLE


def test_a_file_that_cannot_remember_is_told(tmp_path: Path) -> None:
    path = tmp_path / "signatures.sqlite3"
    path.write_text("This is no database, and long enough to be seen to be none. " * 20)
    with pytest.raises(OSError, match="cannot remember signatures"):
        make_verifier(path)


def test_a_signature_is_remembered_as_long_as_it_is_fresh() -> None:
    verifier = make_verifier()
    verify(verifier, make_body(), now=NOW - 600)
    verify(verifier, make_body(nonce="n2"), now=NOW + 600)
    assert refusal(verifier, make_body(TaskId="other"), now=NOW + 600) is Refusal.REPLAYED


@pytest.mark.parametrize("set_by_s", [3600.0, -3600.0])
def test_a_wall_clock_that_is_set_makes_no_callback_stale(set_by_s: float) -> None:
    """It was right before or is right now, and nobody here knows which."""
    verifier = make_verifier()
    verify(verifier, make_body(nonce="n1"), now=NOW, jumped_s=set_by_s)
    verify(verifier, make_body(nonce="n2"), now=NOW - set_by_s, jumped_s=set_by_s)
    with pytest.raises(CallbackRefusedError) as caught:
        verify(verifier, make_body(nonce="n3"), now=NOW + 1800, jumped_s=set_by_s)
    assert caught.value.refusal is Refusal.STALE
