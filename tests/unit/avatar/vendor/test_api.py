"""The thirteen actions as they leave, and what is done when their answers do not come."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest

from services.avatar.vendor.actions import Action
from services.avatar.vendor.api import CloudApi, SpokenText, StreamOrder
from services.avatar.vendor.client import CallPatience, CloudClient
from services.avatar.vendor.limits import ProcessRateLimits
from services.avatar.vendor.signature import Credentials, sign
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from tests.support.metrics import sample

CREDENTIALS = Credentials(app_id=42, server_secret="0123456789abcdef0123456789abcdef")
IMPATIENT = CallPatience(attempt_s=0.2, first_pause_s=0.001, longest_pause_s=0.05)
ORDER = StreamOrder(
    digital_human_id="mia",
    room_id="room-1",
    stream_id="stream-1",
    background_color="#000000",
    ttl_s=60,
    max_idle_s=30,
)
BUSY, SYSTEM_ERROR, EXPIRED, IN_USE = 400010002, 400010000, 100000004, 400000015


class ScriptedCloud:
    """Answers calls from a script: Data, a code, or the loss of the answer; keeps the calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.queries: list[httpx.QueryParams] = []
        self.script: list[object] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.queries.append(request.url.params)
        self.calls.append((request.url.params["Action"], json.loads(request.content)))
        match self.script.pop(0) if self.script else None:
            case Exception() as error:
                raise error
            case httpx.Response() as response:
                return response
            case int(code):
                body = {"Code": code, "Message": "no", "RequestId": "r-1"}
            case data:
                body = {"Code": 0, "Message": "success", "RequestId": "r-1", "Data": data}
                if data is None:
                    del body["Data"]
        return httpx.Response(200, json=body)

    @property
    def actions(self) -> list[str]:
        return [action for action, _ in self.calls]


@pytest.fixture
def cloud() -> ScriptedCloud:
    return ScriptedCloud()


@pytest.fixture
async def api(cloud: ScriptedCloud) -> AsyncIterator[CloudApi]:
    transport = httpx.MockTransport(cloud.answer)
    async with httpx.AsyncClient(base_url="https://cloud.example", transport=transport) as http:
        yield CloudApi(
            CloudClient(
                http,
                credentials=CREDENTIALS,
                limits=ProcessRateLimits(calls=1000),
                patience=IMPATIENT,
            )
        )


async def failure(call: Awaitable[object]) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        await call
    return caught.value


TASK: dict[str, object] = {"TaskId": "t"}
TIMBRE = SpokenText(text="Hi", timbre_id="v", speech_rate=1, pitch_rate=-2, volume=3)
CALLS: list[tuple[Action, Callable[[CloudApi], Awaitable[object]], Any, Any]] = [
    (
        Action.GET_DIGITAL_HUMAN_LIST,
        lambda api: api.get_digital_human_list(offset=20, limit=5, within_s=1),
        {"Offset": 20, "Limit": 5},
        {"Total": 1, "DigitalHumans": [{"DigitalHumanId": "mia"}]},
    ),
    (
        Action.GET_DIGITAL_HUMAN_INFO,
        lambda api: api.get_digital_human_info("mia", within_s=1),
        {"DigitalHumanId": "mia"},
        {"DigitalHumanId": "mia", "Actions": [{"Action": "nod", "PreviewUrl": ""}]},
    ),
    (
        Action.GET_TIMBRE_LIST,
        lambda api: api.get_timbre_list(digital_human_id="", offset=0, limit=20, within_s=1),
        {"Offset": 0, "Limit": 20},
        {"Total": 0, "Timbres": []},
    ),
    (
        Action.CREATE_STREAM_TASK,
        lambda api: api.create_stream_task(ORDER, within_s=1),
        {
            "DigitalHumanConfig": {"DigitalHumanId": "mia", "BackgroundColor": "#000000"},
            "RTCConfig": {"RoomId": "room-1", "StreamId": "stream-1"},
            "TTL": 60,
            "MaxIdleTime": 30,
        },
        TASK,
    ),
    (
        Action.GET_STREAM_TASK_STATUS,
        lambda api: api.get_stream_task_status("t", within_s=1),
        TASK,
        {"Status": 3, "RoomId": "r", "StreamId": "s", "FailReason": "", "CreateTime": 5},
    ),
    (Action.QUERY_STREAM_TASKS, lambda api: api.query_stream_tasks(within_s=1), {}, None),
    (Action.STOP_STREAM_TASK, lambda api: api.stop_stream_task("t", within_s=1), TASK, None),
    (
        Action.DRIVE_BY_TEXT,
        lambda api: api.drive_by_text("t", TIMBRE, interrupts=True, within_s=1),
        {
            "TaskId": "t",
            "Text": "Hi",
            "InterruptMode": 1,
            "TTSConfig": {"TimbreId": "v", "SpeechRate": 1, "PitchRate": -2, "Volume": 3},
        },
        {"DriveId": "d"},
    ),
    (
        Action.DRIVE_BY_AUDIO,
        lambda api: api.drive_by_audio("t", "https://a/b.wav", interrupts=False, within_s=1),
        {"TaskId": "t", "AudioUrl": "https://a/b.wav", "InterruptMode": 0},
        {"DriveId": "d"},
    ),
    (
        Action.DRIVE_BY_WS_STREAM,
        lambda api: api.drive_by_ws_stream("t", within_s=1),
        TASK,
        {"DriveId": "d", "WssAddress": "wss://127.0.0.1:1/ws?Token=x"},
    ),
    (
        Action.DRIVE_BY_RTC_STREAM,
        lambda api: api.drive_by_rtc_stream("t", room_id="r", stream_id="s", within_s=1),
        {"TaskId": "t", "RTCConfig": {"RoomId": "r", "StreamId": "s"}},
        {"DriveId": "d"},
    ),
    (
        Action.DO_ACTION,
        lambda api: api.do_action("t", "nod", within_s=1),
        {"TaskId": "t", "Action": "nod"},
        None,
    ),
    (
        Action.INTERRUPT_DRIVE_TASK,
        lambda api: api.interrupt_drive_task("t", within_s=1),
        TASK,
        None,
    ),
]


VOID = {Action.STOP_STREAM_TASK, Action.DO_ACTION, Action.INTERRUPT_DRIVE_TASK}


def test_every_action_is_covered() -> None:
    assert [action for action, *_ in CALLS] == list(Action)


@pytest.mark.parametrize(("action", "call", "body", "data"), CALLS, ids=[c[0] for c in CALLS])
async def test_an_action_leaves_as_documented(
    api: CloudApi,
    cloud: ScriptedCloud,
    action: Action,
    call: Callable[[CloudApi], Awaitable[object]],
    body: object,
    data: object,
) -> None:
    cloud.script = [data]
    await call(api)
    assert cloud.calls == [(action, body)]
    (query,) = cloud.queries
    assert query["Signature"] == sign(
        CREDENTIALS, nonce=query["SignatureNonce"], timestamp=int(query["Timestamp"])
    )


@pytest.mark.parametrize(("action", "call", "body", "data"), CALLS, ids=[c[0] for c in CALLS])
async def test_an_answer_of_another_shape_is_a_failure_not_a_crash(
    api: CloudApi,
    cloud: ScriptedCloud,
    action: Action,
    call: Callable[[CloudApi], Awaitable[object]],
    body: object,
    data: object,
) -> None:
    cloud.script = [["odd", {"shape": True}]] * 10_000
    if action in VOID:
        await call(api)
    else:
        assert (await failure(call(api))).reason is Reason.CLOUD_UNREACHABLE


GARBAGE: dict[str, object] = {
    "html": httpx.Response(200, html="<h1>Welcome</h1>"),
    "html of a proxy": httpx.Response(503, html="<h1>Try later</h1>"),
    "cut json": httpx.Response(200, text='{"Code": 0, "Message": "succ'),
    "binary": httpx.Response(200, content=bytes(range(256)) * 8),
    "wrongly zipped": httpx.DecodingError("incorrect header check"),
    "nothing": httpx.Response(200),
    "a list": httpx.Response(200, json=[0]),
    "null": httpx.Response(200, json=None),
    "another's error": httpx.Response(200, json={"error": {"code": 500}}),
    "a redirect": httpx.Response(302, headers={"Location": "https://login.example/"}),
    "a bad redirect": httpx.Response(302, headers={"Location": "https://[/"}),
    "code as text": httpx.Response(200, json={"Code": "fine"}),
    "no code": httpx.Response(200, json={"Message": "success", "Data": {"TaskId": "t-9"}}),
    "endless code": httpx.Response(200, text=f'{{"Code": 1{"0" * 5000}}}'),
    "unknown code": httpx.Response(200, json={"Code": 7}),
    "success denied": httpx.Response(500, json={"Code": 0, "Data": {"TaskId": "t-9"}}),
    "other data": httpx.Response(200, json={"Code": 0, "Data": {"message": "hello"}}),
    "no id": httpx.Response(200, json={"Code": 0, "Data": {"TaskId": ""}}),
    "a task without an id": httpx.Response(200, json={"Code": 0, "Data": [{"TaskId": None}]}),
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
async def test_an_unreadable_answer_says_nothing_of_what_was_done(
    api: CloudApi, cloud: ScriptedCloud, garbage: object
) -> None:
    # Harmless: asked again.
    cloud.script = [garbage, []]
    assert await api.query_stream_tasks(within_s=1) == ()
    # An order: looked up, and adopted.
    running = {"TaskId": "t-9", "RoomId": "room-1", "StreamId": "stream-1", "Status": 1}
    cloud.script = [garbage, [running]]
    assert await api.create_stream_task(ORDER, within_s=5) == "t-9"
    # For ever: nobody's fault but the cloud's.
    cloud.script = [garbage] * 10_000
    error = await failure(api.query_stream_tasks(within_s=0.05))
    assert error.reason in (Reason.CLOUD_UNREACHABLE, Reason.CLOUD_ERROR)


@pytest.mark.parametrize("data", [{"TaskList": [TASK]}, {"Tasks": [TASK]}, [TASK]])
async def test_running_tasks_come_in_three_shapes(
    api: CloudApi, cloud: ScriptedCloud, data: object
) -> None:
    cloud.script = [data]
    (task,) = await api.query_stream_tasks(within_s=1)
    assert task.task_id == "t"


async def test_null_is_absent(api: CloudApi, cloud: ScriptedCloud) -> None:
    nothing = {"Message": None, "RequestId": None}
    data = {"Total": None, "DigitalHumans": None}
    cloud.script = [httpx.Response(200, json={"Code": 0, "Data": data} | nothing)]
    page = await api.get_digital_human_list(offset=0, limit=20, within_s=1)
    assert page.digital_humans == ()
    cloud.script = [{"DigitalHumanId": "mia", "Name": None, "IsPublic": None, "Actions": None}]
    assert (await api.get_digital_human_info("mia", within_s=1)).actions == ()


@pytest.mark.parametrize(
    ("members", "status", "create_time"),
    [
        ({"Status": "3", "CreateTime": "1700000000"}, 3, 1.7e9),
        ({"Status": 3.0, "CreateTime": 1_700_000_000_000}, 3, 1.7e9),
        ({"Status": 3, "CreateTime": "2026-01-31T12:00:00Z", "RoomId": None}, 3, 0),
        ({"Status": 3, "CreateTime": 10**400, "FailReason": None}, 3, 0),
        ({"Status": 3, "CreateTime": -62135596800}, 3, 0),
        ({"Status": "PUBLISHING", "CreateTime": None}, 0, 0),
        ({"Status": 99}, 0, 0),
        ({"Status": None}, 0, 0),
    ],
)
async def test_one_odd_task_hides_no_other(
    api: CloudApi,
    cloud: ScriptedCloud,
    members: dict[str, object],
    status: int,
    create_time: float,
) -> None:
    cloud.script = [[TASK | members, {"TaskId": "t-2", "Status": 3}]]
    odd, other = await api.query_stream_tasks(within_s=1)
    assert (odd.status, odd.create_time, other.task_id) == (status, create_time, "t-2")


@pytest.mark.parametrize("code", [400000005, 400000007])
async def test_a_task_that_is_over_is_stopped(
    api: CloudApi, cloud: ScriptedCloud, code: int
) -> None:
    cloud.script = [code]
    assert await api.stop_stream_task("t", within_s=1)


async def test_a_busy_cloud_is_asked_again_with_a_fresh_signature(
    api: CloudApi, cloud: ScriptedCloud
) -> None:
    cloud.script = [BUSY, BUSY, None]
    await api.do_action("t", "nod", within_s=5)
    assert len({query["SignatureNonce"] for query in cloud.queries}) == 3


async def test_a_busy_cloud_is_not_asked_beyond_the_deadline(
    api: CloudApi, cloud: ScriptedCloud
) -> None:
    cloud.script = [BUSY] * 10_000
    error = await failure(api.do_action("t", "nod", within_s=0.1))
    assert error.reason is Reason.CLOUD_BUSY
    assert error.metadata == {
        "cloud_action": "DoAction",
        "cloud_code": str(BUSY),
        "cloud_request_id": "r-1",
    }


async def test_an_attempt_that_is_cut_short_does_not_hide_the_refusal_before_it() -> None:
    calls: list[httpx.URL] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        calls.append(request.url)
        if len(calls) > 1:
            await asyncio.Event().wait()
        return httpx.Response(200, json={"Code": BUSY, "Message": "no", "RequestId": "r-1"})

    transport = httpx.MockTransport(answer)
    async with httpx.AsyncClient(base_url="https://cloud.example", transport=transport) as http:
        client = CloudClient(
            http,
            credentials=CREDENTIALS,
            limits=ProcessRateLimits(calls=1000),
            patience=CallPatience(attempt_s=60, shortest_attempt_s=0.0, first_pause_s=0.001),
        )
        refused = await failure(CloudApi(client).get_stream_task_status("t", within_s=2))
    assert len(calls) == 2
    assert refused.reason is Reason.CLOUD_BUSY


async def test_what_was_refused_is_not_tried_again_without_time_for_an_answer(
    cloud: ScriptedCloud,
) -> None:
    cloud.script = [BUSY] * 5
    transport = httpx.MockTransport(cloud.answer)
    async with httpx.AsyncClient(base_url="https://cloud.example", transport=transport) as http:
        client = CloudClient(
            http,
            credentials=CREDENTIALS,
            limits=ProcessRateLimits(calls=1000),
            patience=CallPatience(shortest_attempt_s=60, first_pause_s=0.001),
        )
        refused = await failure(CloudApi(client).create_stream_task(ORDER, within_s=30))
    assert refused.reason is Reason.CLOUD_BUSY
    assert len(cloud.calls) == 1


async def test_the_wait_for_the_rate_limit_is_measured(cloud: ScriptedCloud) -> None:
    def measured(what: str) -> float:
        name = f"parley_avatar_cloud_wait_seconds_{what}"
        return sample(name, action=str(Action.STOP_STREAM_TASK)) or 0

    window_s = 0.1
    count, waited_s = measured("count"), measured("sum")
    transport = httpx.MockTransport(cloud.answer)
    async with httpx.AsyncClient(base_url="https://cloud.example", transport=transport) as http:
        client = CloudClient(
            http,
            credentials=CREDENTIALS,
            # By this clock the second call comes at the same moment as the first.
            limits=ProcessRateLimits(calls=1, window_s=window_s, clock=lambda: 0.0),
            patience=CallPatience(),
        )
        for task_id in ("one", "two"):
            await CloudApi(client).stop_stream_task(task_id, within_s=60)
    assert measured("count") - count == 2
    assert measured("sum") - waited_s >= window_s * 0.9


async def test_a_wrong_clock_is_tried_once_more(api: CloudApi, cloud: ScriptedCloud) -> None:
    cloud.script = [EXPIRED] * 5
    error = await failure(api.query_stream_tasks(within_s=5))
    assert error.reason is Reason.CLOUD_CLOCK_SKEW
    assert len(cloud.calls) == 2


async def test_a_bad_parameter_is_named(api: CloudApi, cloud: ScriptedCloud) -> None:
    refusal = {"Code": 400000001, "Message": "TimbreId: unknown", "RequestId": "r-1"}
    cloud.script = [httpx.Response(200, json=refusal)]
    error = await failure(api.drive_by_text("t", TIMBRE, interrupts=False, within_s=1))
    assert error.reason is Reason.INVALID_REQUEST
    assert [each.field for each in error.violations] == ["timbre_id"]


@pytest.mark.parametrize(
    "loss",
    [
        httpx.ReadTimeout("gone"),
        httpx.RemoteProtocolError("gone"),
        httpx.Response(502, text="<html>"),
        httpx.Response(200, text="{"),
        httpx.Response(200, json=[]),
    ],
    ids=["timeout", "closed", "502", "cut", "no envelope"],
)
async def test_a_lost_answer_is_asked_for_again_only_if_that_does_no_harm(
    api: CloudApi, cloud: ScriptedCloud, loss: object
) -> None:
    cloud.script = [loss, []]
    assert await api.query_stream_tasks(within_s=1) == ()
    cloud.script = [loss, None]
    error = await failure(api.do_action("t", "nod", within_s=1))
    assert error.reason is Reason.CLOUD_UNREACHABLE
    assert cloud.actions[2:] == ["DoAction"]


async def test_a_call_that_never_arrived_is_made_again(api: CloudApi, cloud: ScriptedCloud) -> None:
    cloud.script = [httpx.ConnectError("refused"), None]
    await api.do_action("t", "nod", within_s=1)
    assert cloud.actions == ["DoAction"] * 2


async def test_a_create_whose_answer_is_lost_is_adopted(
    api: CloudApi, cloud: ScriptedCloud
) -> None:
    running = {"TaskId": "t-9", "RoomId": "room-1", "StreamId": "stream-1", "Status": 1}
    other = running | {"TaskId": "t-8", "RoomId": "room-2"}
    cloud.script = [httpx.ReadTimeout("gone"), {"TaskList": [other, running]}]
    assert await api.create_stream_task(ORDER, within_s=5) == "t-9"
    assert cloud.actions == ["CreateDigitalHumanStreamTask", "QueryDigitalHumanStreamTasks"]


async def test_a_create_that_was_not_done_is_ordered_again(
    api: CloudApi, cloud: ScriptedCloud
) -> None:
    cloud.script = [httpx.ReadTimeout("gone"), {"TaskList": []}, {"TaskId": "t-1"}]
    assert await api.create_stream_task(ORDER, within_s=5) == "t-1"


async def test_a_create_that_is_done_late_is_adopted(api: CloudApi, cloud: ScriptedCloud) -> None:
    running = {"TaskId": "t-9", "RoomId": "room-1", "StreamId": "stream-1", "Status": 1}
    cloud.script = [httpx.ReadTimeout("gone"), [], IN_USE, [running]]
    assert await api.create_stream_task(ORDER, within_s=5) == "t-9"


async def test_a_create_that_fails_half_way_is_looked_up(
    api: CloudApi, cloud: ScriptedCloud
) -> None:
    running = {"TaskId": "t-9", "RoomId": "room-1", "StreamId": "stream-1", "Status": 1}
    cloud.script = [SYSTEM_ERROR, [running]]
    assert await api.create_stream_task(ORDER, within_s=5) == "t-9"


async def test_a_stream_id_in_use_is_not_adopted_without_a_lost_answer(
    api: CloudApi, cloud: ScriptedCloud
) -> None:
    cloud.script = [IN_USE]
    assert (await failure(api.create_stream_task(ORDER, within_s=5))).reason is (
        Reason.STREAM_IN_USE
    )
    assert len(cloud.calls) == 1
