"""The connection to the cloud: what the avatar service is asked, and what its answers mean."""

from pathlib import Path

from google.protobuf.duration_pb2 import Duration

from digitalhuman.avatar.v1 import avatar_pb2
from digitalhuman.task.v1 import task_pb2 as pb
from engine.app import running as running_engine
from engine.settings import EngineSettings
from services.avatar.app import running as running_avatar
from services.avatar.settings import AvatarSettings
from services.runtime.failures.reasons import Reason
from services.task.ports.cloud import AvatarState
from tests.support.avatar_rig import APP_ID, CALLBACK_SECRET, SERVER_SECRET
from tests.support.avatar_service import scripted_avatar_service
from tests.support.task import Call, ScriptedCloud
from tests.support.task_calls import (
    FINAL,
    create,
    create_streaming,
    error_of,
    serving_tasks,
    stop,
    until,
)

TOKEN = "the-service-token"


async def test_the_order_is_complete_and_follows_the_request(cloud: ScriptedCloud) -> None:
    async with (
        scripted_avatar_service(cloud, service_tokens=(TOKEN,)) as (target, avatars),
        serving_tasks(avatar_target=target, service_token=TOKEN) as tasks,
    ):
        request = pb.CreateTaskRequest(
            room_id="room",
            stream_id="stream",
            digital_human_id="mia",
            background_color="#102030",
            max_duration=Duration(seconds=60),
        )
        metadata = (("authorization", f"Bearer {TOKEN}"), ("x-request-id", "trace-me"))
        answer = await tasks.CreateTask(request, metadata=metadata)
    assert answer.task.avatar_id in cloud.running
    assert avatars.requests == [
        avatar_pb2.StartAvatarRequest(
            room_id="room",
            stream_id="stream",
            digital_human_id="mia",
            background_color="#102030",
            max_duration=Duration(seconds=60),
            max_idle_duration=Duration(seconds=120),
        )
    ]
    assert avatars.metadata[0]["x-request-id"] == "trace-me"


async def test_refusals_and_ends_come_through(cloud: ScriptedCloud) -> None:
    async with (
        scripted_avatar_service(cloud) as (target, _),
        serving_tasks(avatar_target=target) as tasks,
    ):
        cloud.scripts[Call.START].append(Reason.AVATAR_CAPACITY_EXCEEDED)
        error = await error_of(create(tasks))
        assert error.reason is Reason.AVATAR_CAPACITY_EXCEEDED
        cloud.starts_as = AvatarState.STARTING
        task = await create(tasks)
        del cloud.running[task.avatar_id]
        assert (await until(tasks, task.task_id, *FINAL)).state == pb.TASK_STATE_FAILED


async def test_an_avatar_service_that_is_away_is_told_as_such() -> None:
    nowhere = "127.0.0.1:1"
    async with serving_tasks(avatar_target=nowhere) as tasks:
        error = await error_of(create(tasks))
        assert error.reason is Reason.DEPENDENCY_UNAVAILABLE
        assert nowhere not in error.message


async def test_a_task_lives_and_ends_with_the_real_services(tmp_path: Path) -> None:
    engine_settings = EngineSettings(
        port=0,
        drive_port=0,
        app_id=APP_ID,
        server_secret=SERVER_SECRET,
        callback_secret=CALLBACK_SECRET,
        init_delay_s=0,
        recordings_dir=tmp_path,
    )
    async with running_engine(engine_settings) as engine:
        avatar_settings = AvatarSettings(
            port=0,
            engine_app_id=APP_ID,
            engine_server_secret=SERVER_SECRET,
            cloud_url=engine.base_url,
        )
        async with (
            running_avatar(avatar_settings) as avatars,
            serving_tasks(avatar_target=avatars.address) as tasks,
        ):
            task = await create_streaming(tasks)
            assert task.digital_human_id
            assert (await error_of(create(tasks))).reason is Reason.STREAM_IN_USE
            stopped = await stop(tasks, task.task_id)
            assert stopped.state == pb.TASK_STATE_STOPPED
            again = await create_streaming(tasks)
            assert again.avatar_id != task.avatar_id
            await stop(tasks, again.task_id)
