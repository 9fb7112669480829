"""A conversation of a tenant through all processes, which no other tenant can see or watch."""

import secrets
from collections.abc import AsyncIterator

import grpc
import pytest

from digitalhuman.avatar.v1 import avatar_pb2
from digitalhuman.avatar.v1.avatar_pb2_grpc import AvatarServiceStub
from digitalhuman.speech.v1 import speech_pb2
from digitalhuman.speech.v1.speech_pb2_grpc import SpeechServiceStub
from digitalhuman.task.v1 import task_pb2 as pb
from digitalhuman.task.v1.task_pb2_grpc import TaskServiceStub
from services.runtime.callers.caller import of_tenant, to_metadata
from services.runtime.callers.requests import Metadata
from tests.support.converse import Talk, text

ACME, ZOO = (to_metadata(of_tenant(each)) for each in ("acme", "zoo"))


@pytest.fixture
async def task(task_channel: grpc.aio.Channel, token: Metadata) -> AsyncIterator[pb.Task]:
    """A task of a tenant on air, that is stopped when the test ends."""
    name = secrets.token_hex(8)
    tasks = TaskServiceStub(task_channel)
    order = pb.CreateTaskRequest(room_id=f"room-{name}", stream_id=f"stream-{name}")
    made = (await tasks.CreateTask(order, metadata=token + ACME)).task
    watch = pb.WatchTaskRequest(task_id=made.task_id, after_sequence=0)
    async for update in tasks.WatchTask(watch, metadata=token + ACME):
        if update.event.state_changed.task.state == pb.TASK_STATE_STREAMING:
            break
    yield made
    await tasks.StopTask(pb.StopTaskRequest(task_id=made.task_id), metadata=token + ACME)


async def test_a_tenant_talks_and_no_other_learns_of_it(
    task: pb.Task,
    task_channel: grpc.aio.Channel,
    speech_channel: grpc.aio.Channel,
    avatar_channel: grpc.aio.Channel,
    token: Metadata,
) -> None:
    setup = speech_pb2.ConverseSetup(
        task_id=task.task_id,
        turn_detection=speech_pb2.TURN_DETECTION_MANUAL,
        output=speech_pb2.REPLY_OUTPUT_AVATAR,
    )
    first = speech_pb2.ConverseRequest(setup=setup)
    speech = SpeechServiceStub(speech_channel)
    async with Talk.on(speech, first, token + ACME) as talk:
        await talk.send(text("When do you open?"))
        finished = await talk.until("turn_finished")
        assert finished.turn_finished.heard_text
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            async with Talk.on(speech, first, token + ZOO):
                pass
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND

    tasks = TaskServiceStub(task_channel)
    conversation = pb.GetConversationRequest(task_id=task.task_id)
    kept = await tasks.GetConversation(conversation, metadata=token + ACME)
    assert [turn.user_text for turn in kept.turns] == ["When do you open?"]
    for stranger in (ZOO, ()):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await tasks.GetConversation(conversation, metadata=token + stranger)
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND

    avatars = AvatarServiceStub(avatar_channel)
    watch = avatar_pb2.CreateViewerTokenRequest(
        user_id="ada", room_id=task.room_id, stream_id=task.stream_id
    )
    watched = await avatars.CreateViewerToken(watch, metadata=token + ACME)
    assert watched.playback.url.endswith(f"/whep/{task.stream_id}")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await avatars.CreateViewerToken(watch, metadata=token + ZOO)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
