"""The API's envelope, signature rules in their order, codes and parameter rules."""

import asyncio
import json
import sqlite3
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from structlog.contextvars import bound_contextvars, merge_contextvars
from structlog.testing import capture_logs

from engine.contract.codes import Code, Refusal
from engine.contract.replays import UsedSignatures, used_signatures
from engine.contract.signature import CallVerifier, sign_call, sign_callback
from tests.engine.conftest import OpenCloud
from tests.support.engine_cloud import (
    PERSON,
    Cloud,
    ManualClock,
    create_parameters,
)

VECTORS = json.loads((Path(__file__).parents[1] / "data" / "zego_vectors.json").read_text())
UNKNOWN = "00000000-0000-0000-0000-000000000000"


@pytest.mark.parametrize(
    "vector", VECTORS["api_signature"]["vectors"], ids=lambda vector: vector["name"]
)
def test_signature_vectors(vector: dict[str, Any]) -> None:
    signature = sign_call(
        app_id=vector["app_id"],
        nonce=vector["nonce"],
        server_secret=vector["server_secret"],
        timestamp=vector["timestamp"],
    )
    assert signature == vector["signature"]


@pytest.mark.parametrize(
    "vector", VECTORS["callback_signature"]["vectors"], ids=lambda vector: vector["name"]
)
def test_callback_signature_vectors(vector: dict[str, Any]) -> None:
    signature = sign_callback(
        callback_secret=vector["callback_secret"],
        timestamp=vector["timestamp"],
        nonce=vector["nonce"],
    )
    assert signature == vector["signature"]


QUERY_FAULTS: list[tuple[dict[str, str | None], int]] = [
    ({"Action": None}, 100000006),
    ({"Action": "NoSuchAction"}, 100000007),
    ({"Action": "getdigitalhumanlist"}, 100000007),
    ({"Timestamp": None}, 100000002),
    ({"SignatureNonce": ""}, 100000008),
    ({"Signature": None}, 100000009),
    ({"SignatureVersion": None}, 100000013),
    ({"AppId": None}, 100000001),
    ({"AppId": "x1"}, 100000001),
    ({"AppId": "0"}, 100000001),
    ({"AppId": "4294967296"}, 100000001),
    ({"Timestamp": "yesterday"}, 100000003),
    ({"Timestamp": "-5"}, 100000003),
    ({"SignatureVersion": "1.0"}, 100000014),
    ({"AppId": "1"}, 100000010),
    ({"Timestamp": "1000000000"}, 100000004),
    ({"Signature": "0" * 32}, 100000005),
    ({"Signature": "é"}, 100000005),
    # Of two faults, the one that is checked first is told.
    ({"Timestamp": None, "AppId": "x"}, 100000002),
    ({"AppId": "x", "SignatureVersion": "1.0"}, 100000001),
    ({"SignatureVersion": "1.0", "AppId": "1"}, 100000014),
    ({"AppId": "1", "Timestamp": "1"}, 100000010),
    ({"Timestamp": "1", "Signature": "0" * 32}, 100000004),
]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_common_parameters(cloud: Cloud, method: str) -> None:
    for changes, code in QUERY_FAULTS:
        query = cloud.query("GetDigitalHumanList") | changes
        response = await cloud.http.request(
            method, "/", params={name: value for name, value in query.items() if value is not None}
        )
        envelope = response.json()
        assert (response.status_code, envelope["Code"]) == (200, code), changes
        assert envelope["Message"]
        assert len(envelope["RequestId"]) == 36
        assert "Data" not in envelope


@pytest.mark.parametrize(("age_s", "code"), [(600, 0), (-600, 0), (601, 4), (-601, 4)])
async def test_window_is_ten_minutes(age_s: int, code: int) -> None:
    query = {
        "AppId": "7",
        "SignatureNonce": "n",
        "Timestamp": "1000000",
        "SignatureVersion": "2.0",
        "Signature": sign_call(app_id=7, nonce="n", server_secret="s", timestamp=1000000),
    }
    told = 0
    with used_signatures(None) as used:
        verifier = CallVerifier(app_id=7, server_secrets=["newer", "s"], used=used)
        try:
            await verifier.verify(query, now=1000000 + age_s)
        except Refusal as refusal:
            told = refusal.code - 100000000
    assert told == code


async def test_a_signature_is_good_for_one_call_also_after_a_restart(
    open_cloud: OpenCloud, tmp_path: Path
) -> None:
    path = tmp_path / "signatures.sqlite3"
    async with AsyncExitStack() as first_life:
        cloud = await open_cloud(stack=first_life, signatures=path)
        # Those of a read are as good as those of a write: nothing else is signed.
        seen = cloud.query("GetDigitalHumanList")
        replay = {**seen, "Action": "GetTimbreList"}
        assert (await cloud.http.post("/", params=seen)).json()["Code"] == Code.SUCCESS
        refused = (await cloud.http.post("/", params=replay)).json()
        assert refused["Code"] == Code.SIGNATURE_WRONG
    cloud = await open_cloud(signatures=path)
    for query in (seen, replay):
        refused = (await cloud.http.post("/", params=query)).json()
        assert refused["Code"] == Code.SIGNATURE_WRONG
    assert (await cloud.call("GetDigitalHumanList"))["Code"] == Code.SUCCESS
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_signatures_are_remembered_while_they_are_valid(tmp_path: Path) -> None:
    with used_signatures(tmp_path / "signatures.sqlite3") as used:
        assert await used.use("a", now=0, valid_s=1200)
        assert not await used.use("a", now=1200, valid_s=1200)
        assert await used.use("b", now=1201, valid_s=1200)
        assert await used.use("a", now=1201, valid_s=1200)


@contextmanager
def remembering(path: Path) -> Iterator[tuple[sqlite3.Connection, UsedSignatures]]:
    """Signatures in a database, and the connection to it, which may be given trouble."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=0, check_same_thread=False)
    with closing(connection), ThreadPoolExecutor(1) as thread:
        yield connection, UsedSignatures(connection, thread)


# The first page is the header, two are the table and its index.
@pytest.mark.parametrize("trouble", ["PRAGMA query_only = ON", "PRAGMA max_page_count = 3"])
async def test_a_signature_that_cannot_be_written_is_remembered_meanwhile(
    tmp_path: Path, trouble: str
) -> None:
    path = tmp_path / "signatures.sqlite3"
    with used_signatures(path) as used:
        assert await used.use("a", now=0, valid_s=1200)
    with (
        remembering(path) as (connection, used),
        bound_contextvars(process="engine"),
        capture_logs(processors=[merge_contextvars]) as logs,
    ):
        connection.execute(trouble)
        assert not await used.use("a", now=1, valid_s=1200)
        # More than one page holds.
        long = "b" * 10_000
        assert await used.use(long, now=1, valid_s=1200)
        assert not await used.use(long, now=1201, valid_s=1200)
        assert await used.use(long, now=1202, valid_s=1200)
        assert {each["process"] for each in logs} == {"engine"}


@pytest.mark.parametrize("trouble", ["BEGIN EXCLUSIVE", "DROP TABLE signatures"])
async def test_a_signature_that_cannot_be_looked_up_is_not_let_through(
    tmp_path: Path, trouble: str
) -> None:
    path = tmp_path / "signatures.sqlite3"
    with used_signatures(path):
        pass
    with closing(sqlite3.connect(path, isolation_level=None)) as another:
        another.execute(trouble)
        with (
            remembering(path) as (_, used),
            pytest.raises(sqlite3.OperationalError, match=r"locked|no such table"),
        ):
            await used.use("a", now=0, valid_s=1200)


async def test_everybody_is_served_while_a_signature_waits_for_the_disk() -> None:
    disk = Event()
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.create_function("wait", 0, partial(disk.wait, 30))
    connection.executescript(
        "CREATE TABLE signatures (signature TEXT PRIMARY KEY, valid_until REAL);"
        "CREATE TRIGGER slow BEFORE INSERT ON signatures BEGIN SELECT wait(); END;"
    )
    with closing(connection), ThreadPoolExecutor(1) as thread:
        asked = asyncio.create_task(UsedSignatures(connection, thread).use("a", now=0, valid_s=1))
        await asyncio.sleep(0)
        # It is being written, and this is served.
        assert not asked.done()
        disk.set()
        assert await asked


def test_a_file_that_cannot_remember_is_told(tmp_path: Path) -> None:
    path = tmp_path / "signatures.sqlite3"
    path.write_text("This is no database, and long enough to be seen to be none. " * 20)
    with pytest.raises(OSError, match="cannot remember signatures"), used_signatures(path):
        pass


def change(path: str, value: Any) -> dict[str, Any]:
    """Parameters of create with one member changed, or left out when the value is ..."""
    parameters: dict[str, Any] = create_parameters()
    *parents, name = path.split(".")
    inner = parameters
    for parent in parents:
        inner = inner[parent]
    if value is ...:
        del inner[name]
    else:
        inner[name] = value
    return parameters


CREATE_FAULTS: list[tuple[str, Any]] = [
    ("DigitalHumanConfig", ...),
    ("DigitalHumanConfig", "text"),
    ("DigitalHumanConfig.DigitalHumanId", ...),
    ("DigitalHumanConfig.DigitalHumanId", ""),
    ("DigitalHumanConfig.DigitalHumanId", 7),
    ("DigitalHumanConfig.BackgroundColor", "red"),
    ("DigitalHumanConfig.BackgroundColor", "#12345"),
    ("DigitalHumanConfig.BackgroundColor", "#gggggg"),
    ("RTCConfig", ...),
    ("RTCConfig", []),
    ("RTCConfig.RoomId", ...),
    ("RTCConfig.RoomId", ""),
    ("RTCConfig.RoomId", "房" * 43),
    ("RTCConfig.StreamId", ...),
    ("RTCConfig.StreamId", "a b"),
    ("RTCConfig.StreamId", "é"),
    ("RTCConfig.StreamId", "line\n"),
    ("RTCConfig.StreamId", "x" * 129),
    ("RTCConfig.StreamId", None),
    ("TTL", 9),
    ("TTL", 86401),
    ("TTL", "60"),
    ("TTL", True),
    ("TTL", 60.5),
    ("MaxIdleTime", 29),
    ("MaxIdleTime", 86401),
]


async def test_create_names_the_bad_parameter(open_cloud: Any, clock: ManualClock) -> None:
    cloud = await open_cloud(clock=clock)
    for path, value in CREATE_FAULTS:
        clock.advance(1)
        envelope = await cloud.call("CreateDigitalHumanStreamTask", **change(path, value))
        assert envelope["Code"] == Code.INVALID_PARAMETER, (path, value)
        assert path in envelope["Message"], (path, value)
    assert (await cloud.data("QueryDigitalHumanStreamTasks"))["TaskList"] == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("DigitalHumanConfig.BackgroundColor", "#80ffffff"),
        ("RTCConfig.RoomId", "房" * 42),
        ("RTCConfig.StreamId", "x" * 128),
        ("TTL", 10),
        ("MaxIdleTime", 86400),
        ("VideoConfig", {"Width": 1280}),
    ],
)
async def test_create_accepts(cloud: Cloud, path: str, value: Any) -> None:
    await cloud.data("CreateDigitalHumanStreamTask", **change(path, value))


OTHER_FAULTS: list[tuple[str, dict[str, Any], int, str]] = [
    ("GetDigitalHumanList", {"FetchMode": 4}, 400000001, "FetchMode"),
    ("GetDigitalHumanList", {"Offset": -1}, 400000001, "Offset"),
    ("GetDigitalHumanList", {"Limit": 21}, 400000001, "Limit"),
    ("GetDigitalHumanInfo", {}, 400000001, "DigitalHumanId"),
    ("GetDigitalHumanInfo", {"DigitalHumanId": "nobody"}, 400000003, ""),
    ("GetTimbreList", {"DigitalHumanId": "nobody"}, 400000003, ""),
    ("GetTimbreList", {"Limit": 0}, 400000001, "Limit"),
    ("GetDigitalHumanStreamTaskStatus", {}, 400000001, "TaskId"),
    ("GetDigitalHumanStreamTaskStatus", {"TaskId": UNKNOWN}, 400000005, ""),
    ("StopDigitalHumanStreamTask", {"TaskId": 5}, 400000001, "TaskId"),
    ("StopDigitalHumanStreamTask", {"TaskId": UNKNOWN}, 400000005, ""),
    ("DriveByText", {"TaskId": "$", "TTSConfig": {"TimbreId": "t"}}, 400000001, "Text"),
    ("DriveByText", {"TaskId": "$", "Text": "hi"}, 400000001, "TTSConfig"),
    (
        "DriveByText",
        {"TaskId": "$", "Text": "x" * 1801, "TTSConfig": {"TimbreId": "t"}},
        400000001,
        "Text",
    ),
    (
        "DriveByText",
        {"TaskId": "$", "Text": "hi", "TTSConfig": {"TimbreId": "t", "Volume": 0}},
        400000001,
        "TTSConfig.Volume",
    ),
    (
        "DriveByText",
        {"TaskId": "$", "Text": "hi", "TTSConfig": {"TimbreId": "t"}},
        400000004,
        "",
    ),
    ("DriveByAudio", {"TaskId": "$"}, 400000001, "AudioUrl"),
    ("DriveByAudio", {"TaskId": "$", "AudioUrl": "file:///etc/passwd"}, 400000001, "AudioUrl"),
    (
        "DriveByAudio",
        {"TaskId": "$", "AudioUrl": "http://127.0.0.1/a", "InterruptMode": 2},
        400000001,
        "InterruptMode",
    ),
    (
        "DriveByAudio",
        {"TaskId": "$", "AudioUrl": "http://127.0.0.1/a", "VoiceChannel": 3},
        400000001,
        "VoiceChannel",
    ),
    ("DriveByWsStream", {}, 400000001, "TaskId"),
    ("DriveByRTCStream", {"TaskId": "$"}, 400000001, "RTCConfig"),
    ("DoAction", {"TaskId": "$"}, 400000001, "Action"),
    ("DoAction", {"TaskId": "$", "Action": "somersault"}, 400000001, "Action"),
    ("InterruptDriveTask", {"TaskId": UNKNOWN}, 400000005, ""),
    ("GetDriveStatus", {}, 400000001, "TaskId"),
    ("GetDriveStatus", {"TaskId": UNKNOWN}, 400000005, ""),
]


async def test_codes_of_the_other_actions(open_cloud: Any, clock: ManualClock) -> None:
    cloud = await open_cloud(clock=clock)
    task_id = await cloud.go_on_air()
    for action, parameters, code, name in OTHER_FAULTS:
        clock.advance(1)
        if parameters.get("TaskId") == "$":
            parameters = parameters | {"TaskId": task_id}
        envelope = await cloud.call(action, **parameters)
        assert envelope["Code"] == code, (action, parameters, envelope)
        assert name in envelope["Message"]
    assert await cloud.call("DoAction", TaskId=task_id, Action="idle")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", Code.BODY_UNREADABLE),
        (b"\xff\xfe", Code.BODY_UNREADABLE),
        (b"[" * 100_000, Code.BODY_UNREADABLE),
        (b" " * (1024 * 1024 + 1), Code.BODY_UNREADABLE),
        (b"[]", Code.INVALID_PARAMETER),
        (b'"text"', Code.INVALID_PARAMETER),
        (b'{"DigitalHumanId": "\\ud800"}', Code.INVALID_PARAMETER),
        (b"", Code.SUCCESS),
        (b"{}", Code.SUCCESS),
    ],
    ids=["cut", "binary", "deep", "long", "array", "text", "surrogate", "empty", "object"],
)
async def test_bodies(cloud: Cloud, body: bytes, code: Code) -> None:
    response = await cloud.http.post("/", params=cloud.query("GetTimbreList"), content=body)
    assert response.json()["Code"] == code


async def test_get_takes_parameters_from_the_query(cloud: Cloud) -> None:
    query = cloud.query("CreateDigitalHumanStreamTask") | {
        "DigitalHumanConfig": json.dumps({"DigitalHumanId": PERSON}),
        "RTCConfig": json.dumps({"RoomId": "r", "StreamId": "s"}),
        "TTL": "60",
    }
    created = (await cloud.http.get("/", params=query)).json()
    assert created["Code"] == 0
    query = cloud.query("GetDigitalHumanList") | {"Limit": "1", "Offset": "0"}
    assert len((await cloud.http.get("/", params=query)).json()["Data"]["DigitalHumans"]) == 1


async def test_people(cloud: Cloud) -> None:
    listed = await cloud.data("GetDigitalHumanList")
    assert listed["Total"] == len(listed["DigitalHumans"]) >= 3
    person = await cloud.data("GetDigitalHumanInfo", DigitalHumanId=PERSON)
    assert person in listed["DigitalHumans"]
    actions = {action["Action"] for action in person["Actions"]}
    assert actions == {
        *("idle", "nod", "shake", "smile", "look_aside", "greet"),
        *("shake_hands", "idle_action", "mute_action"),
    }
    pictures = [await cloud.http.get(each["AvatarUrl"]) for each in listed["DigitalHumans"]]
    assert {picture.headers["Content-Type"] for picture in pictures} == {"image/jpeg"}
    assert all(picture.content.startswith(b"\xff\xd8") for picture in pictures)
    assert len({picture.content for picture in pictures}) == len(pictures)
    assert (await cloud.data("GetDigitalHumanList", FetchMode=3))["Total"] == 0
    assert (await cloud.data("GetDigitalHumanList", Offset=5))["DigitalHumans"] == []
    assert await cloud.data("GetTimbreList") == {"Total": 0, "Timbres": []}


async def test_ten_calls_per_second_and_action(open_cloud: Any, clock: ManualClock) -> None:
    cloud = await open_cloud(clock=clock)
    codes = [(await cloud.call("GetDigitalHumanList"))["Code"] for _ in range(12)]
    assert codes == [0] * 10 + [Code.RATE_LIMITED] * 2
    await cloud.data("GetTimbreList")
    clock.advance(1)
    await cloud.data("GetDigitalHumanList")


async def test_actions_need_a_task_on_air(open_cloud: Any, clock: ManualClock) -> None:
    cloud = await open_cloud(clock=clock, init_delay_s=5)
    task_id = await cloud.create()
    actions: dict[str, dict[str, Any]] = {
        "DriveByWsStream": {},
        "DriveByAudio": {"AudioUrl": "http://127.0.0.1/a.wav"},
        "DriveByText": {"Text": "hi", "TTSConfig": {"TimbreId": "t"}},
        "DriveByRTCStream": {"RTCConfig": {"RoomId": "r", "StreamId": "s"}},
        "DoAction": {"Action": "idle"},
        "InterruptDriveTask": {},
    }
    for action, parameters in actions.items():
        envelope = await cloud.call(action, TaskId=task_id, **parameters)
        assert envelope["Code"] == Code.STREAM_NOT_STARTED, action
    clock.advance(5)
    await cloud.receiver.until_task(task_id, 3)
    await cloud.data("StopDigitalHumanStreamTask", TaskId=task_id)
    for action, parameters in actions.items():
        envelope = await cloud.call(action, TaskId=task_id, **parameters)
        assert envelope["Code"] == Code.STREAM_STOPPED, action
