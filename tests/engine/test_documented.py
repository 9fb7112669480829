"""What the cloud's documentation and its samples rely on."""

import io
import json
from typing import Any

import av
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed

from engine.contract.parameters import CreateTask, read_json, read_members
from engine.face.gestures import GESTURES
from engine.face.layout import Layout
from engine.face.performer import Performer
from engine.tasks.digital_humans import choose_scene
from tests.support.engine_cloud import (
    PERSON,
    Cloud,
    create_parameters,
    make_tone,
    open_socket,
    start,
    stop,
)


async def test_render_info_is_told(cloud: Cloud) -> None:
    assert await cloud.data("GetDigitalHumanRenderInfo", DigitalHumanId=PERSON) == {
        "ClientInferencePackageUrl": "",
        "IsSupportSmallImageMode": False,
    }
    unknown = await cloud.call("GetDigitalHumanRenderInfo", DigitalHumanId="nobody")
    assert unknown["Code"] == 400000003


async def post(cloud: Cloud, action: str, body: str) -> dict[str, Any]:
    answer = await cloud.http.post("/", params=cloud.query(action), content=body)
    return dict(answer.json())


@pytest.mark.parametrize("number", ["30", "30.0", "3e1", "3.0E+1"])
async def test_a_number_may_be_written_as_json_allows(cloud: Cloud, number: str) -> None:
    body = json.dumps(create_parameters()).removesuffix("}") + f', "MaxIdleTime": {number}}}'
    assert (await post(cloud, "CreateDigitalHumanStreamTask", body))["Code"] == 0


@pytest.mark.parametrize("number", ["30.5", "29.0", "1e400", "-1.0", '"30"', "true", "NaN", "[]"])
async def test_what_is_no_such_number_is_refused(cloud: Cloud, number: str) -> None:
    body = json.dumps(create_parameters()).removesuffix("}") + f', "MaxIdleTime": {number}}}'
    answer = await post(cloud, "CreateDigitalHumanStreamTask", body)
    assert answer["Code"] == 400000001
    assert "MaxIdleTime" in answer["Message"]


async def test_null_is_absent(cloud: Cloud) -> None:
    parameters = create_parameters(TTL=None, MaxIdleTime=None, VideoConfig=None)
    parameters["DigitalHumanConfig"]["BackgroundColor"] = None
    assert (await cloud.call("CreateDigitalHumanStreamTask", **parameters))["Code"] == 0
    assert (await cloud.data("GetDigitalHumanList", Offset=None, Limit=2.0))["Total"] >= 3
    missing = await cloud.call("StopDigitalHumanStreamTask", TaskId=None)
    assert (missing["Code"], missing["Message"]) == (
        400000001,
        "invalid input parameter: TaskId: is required",
    )


def test_other_json_is_read_as_it_is() -> None:
    text = '{"a": [1.5, null, {"b": null, "c": "10.0"}], "d": -0.0}'
    assert read_json(text) == {"a": [1.5, None, {"c": "10.0"}], "d": 0}


@pytest.mark.parametrize(
    ("colour", "expected"),
    [
        (None, None),
        ("#000000", (0, 0, 0, 1.0)),
        ("#ff000000", (0, 0, 0, 1.0)),
        ("#00000000", (0, 0, 0, 0.0)),
        ("#FFFFFF", (255, 255, 255, 1.0)),
    ],
)
async def test_a_background_that_is_given_is_shown(
    cloud: Cloud, colour: str | None, expected: tuple[float, ...] | None
) -> None:

    parameters = create_parameters()
    if colour is not None:
        parameters["DigitalHumanConfig"]["BackgroundColor"] = colour
    scene = choose_scene(read_members(CreateTask, parameters), Layout.SQUARE)
    shown = scene.background
    assert expected == (shown and (shown.red, shown.green, shown.blue, shown.alpha))


@pytest.mark.parametrize("action", ["shake_hands", "mute_action"])
def test_documented_actions_are_seen(action: str) -> None:
    acting, resting = Performer(), Performer()
    acting.act(action)
    moments = np.arange(0, GESTURES[action].duration_s, 0.04)
    differences = [
        abs(acting.pose_at(at).head.pitch - resting.pose_at(at).head.pitch) for at in moments
    ]
    assert max(differences) > 0.02


async def test_actions_of_the_documentation_are_taken(cloud: Cloud) -> None:
    task_id = await cloud.go_on_air()
    for action in ("shake_hands", "idle_action", "mute_action"):
        await cloud.data("DoAction", TaskId=task_id, Action=action)


async def test_an_action_is_previewed_by_a_video(cloud: Cloud) -> None:
    person = await cloud.data("GetDigitalHumanInfo", DigitalHumanId=PERSON)
    addresses = {each["Action"]: each["PreviewUrl"] for each in person["Actions"]}
    assert len(set(addresses.values())) == len(addresses)
    answer = await cloud.http.get(addresses["shake_hands"])
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "video/webm")
    with av.open(io.BytesIO(answer.content), "r") as video:
        pictures = [frame.to_ndarray(format="gray") for frame in video.decode(video=0)]
    assert len(pictures) >= 50
    assert pictures[0].shape == (512, 512)
    still, moved = pictures[2].astype(int), pictures[len(pictures) // 2].astype(int)
    assert np.abs(still - moved).mean() > 1


@pytest.mark.parametrize("name", ["nobody/nod.webm", f"{PERSON}/somersault.webm"])
async def test_there_is_no_other_preview(cloud: Cloud, name: str) -> None:
    assert (await cloud.http.get(f"/previews/{name}")).status_code == 404


async def test_a_stream_to_speak_after_is_taken_and_never_comes(cloud: Cloud) -> None:
    task_id = await cloud.go_on_air()
    drive_id, address = await cloud.begin_drive(task_id)
    async with open_socket(address) as socket:
        await start(socket, drive_id)
        await socket.send(make_tone(5).tobytes())
        await cloud.receiver.until_drive(drive_id, 2)
        driven = await cloud.data(
            "DriveByRTCStream", TaskId=task_id, RTCConfig={"RoomId": "r", "StreamId": "mic"}
        )
        await cloud.receiver.until_drive(driven["DriveId"], 3)
    assert (await cloud.drive(task_id, drive_id))["interrupted"]


async def test_a_drive_id_may_be_good_for_several_utterances(open_cloud: Any) -> None:
    cloud = await open_cloud(drive_ids="reusable")
    task_id = await cloud.go_on_air()
    drive_id, address = await cloud.begin_drive(task_id)
    async with open_socket(address) as socket:
        for number in (1, 2, 3):
            await start(socket, drive_id)
            await socket.send(make_tone(0.2 * number).tobytes())
            await stop(socket, drive_id)
            await cloud.receiver.until(
                lambda bodies, number=number: (
                    [each["Detail"]["Status"] for each in bodies if each["EventType"] == 4].count(4)
                    == number
                )
            )
    recording = await cloud.recording(task_id)
    assert not recording["violations"]
    assert [each["drive_id"] for each in recording["drives"]] == [drive_id] * 3
    assert len(await cloud.played(task_id, drive_id)) == round(0.6 * 24_000)


async def test_by_default_it_is_good_for_one(cloud: Cloud) -> None:
    task_id = await cloud.go_on_air()
    drive_id, address = await cloud.begin_drive(task_id)
    async with open_socket(address) as socket:
        await start(socket, drive_id)
        await stop(socket, drive_id)
        await start(socket, drive_id)
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.reason == "Payload.DriveId: has been used"
