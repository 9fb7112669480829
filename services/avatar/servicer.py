"""The avatar service: each RPC is one action of the cloud, or one drive."""

import asyncio
import time
from collections.abc import AsyncIterator
from itertools import count
from typing import Any, TypeAlias
from uuid import UUID

import grpc
import structlog

from digitalhuman.avatar.v1 import avatar_pb2 as pb
from digitalhuman.avatar.v1 import avatar_pb2_grpc
from services.avatar import wire
from services.avatar.digital_humans import DefaultDigitalHuman
from services.avatar.drive import Drive
from services.avatar.drives import Drives
from services.avatar.lateness import Lateness
from services.avatar.other_replicas import PASSED_ON_HEADER, OtherReplicas
from services.avatar.ports import Claims
from services.avatar.vendor.api import MAX_PAGE_SIZE, CloudApi, SpokenText, StreamOrder
from services.avatar.vendor.callback import CallbackRefusedError, CallbackVerifier, DriveCallback
from services.avatar.viewers import Viewers
from services.runtime.callers.caller import DEFAULT_TENANT, current_caller
from services.runtime.callers.names import in_cloud
from services.runtime.clock import SteadyClock
from services.runtime.failures.errors import ServiceError, invalid, refused
from services.runtime.failures.reasons import Reason
from services.runtime.pcm import SAMPLE_BYTES
from services.runtime.serving.streams import after_setup, out_of_order, take_setup
from services.runtime.wire import to_timestamp

log = structlog.get_logger(__name__)

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]

_ANSWER_S = 8.0
_ORDER_S = 12.0
"""Longer: a lost answer to an order is looked up."""
_REPLY_SHARE = 0.2
_REPLY_S = 0.5
"""The most of the caller's deadline that is held back, so that it still receives our failure."""
_DEFAULT_VOLUME = 50
_MAX_OFFSET = 1_000_000


class AvatarServicer(avatar_pb2_grpc.AvatarServiceServicer):
    """Answers calls; failures are raised as ServiceError."""

    def __init__(
        self,
        *,
        api: CloudApi,
        drives: Drives,
        claims: Claims,
        others: OtherReplicas,
        default_digital_human: DefaultDigitalHuman,
        viewers: Viewers,
        callbacks: CallbackVerifier | None,
        clock: SteadyClock,
    ) -> None:
        self._api = api
        self._drives = drives
        self._claims = claims
        self._others = others
        self._default_digital_human = default_digital_human
        self._viewers = viewers
        self._callbacks = callbacks
        self._clock = clock
        self._lateness = Lateness()

    async def StartAvatar(
        self, request: pb.StartAvatarRequest, context: Context
    ) -> pb.StartAvatarResponse:
        """Order an avatar."""
        ttl_s = wire.from_whole_seconds(request.max_duration, "max_duration")
        max_idle_s = wire.from_whole_seconds(request.max_idle_duration, "max_idle_duration")
        deadline = time.monotonic() + _time_left_s(context, _ORDER_S)
        digital_human_id = request.digital_human_id or await self._default_digital_human.resolve(
            within_s=deadline - time.monotonic()
        )
        order = StreamOrder(
            digital_human_id=digital_human_id,
            room_id=_in_cloud(request.room_id, "room_id"),
            stream_id=_in_cloud(request.stream_id, "stream_id"),
            background_color=request.background_color,
            ttl_s=ttl_s,
            max_idle_s=max_idle_s,
        )
        avatar_id = await self._api.create_stream_task(order, within_s=deadline - time.monotonic())
        log.info("avatar started", avatar_id=avatar_id)
        return pb.StartAvatarResponse(
            avatar=pb.Avatar(
                avatar_id=avatar_id,
                state=pb.AVATAR_STATE_STARTING,
                room_id=order.room_id,
                stream_id=order.stream_id,
            ),
            digital_human_id=digital_human_id,
        )

    async def StopAvatar(
        self, request: pb.StopAvatarRequest, context: Context
    ) -> pb.StopAvatarResponse:
        """Stop an avatar, whether or not it is running."""
        was_over = await self._api.stop_stream_task(
            request.avatar_id, within_s=_time_left_s(context, _ANSWER_S)
        )
        log.info("avatar stopped", avatar_id=request.avatar_id, replayed=was_over)
        return pb.StopAvatarResponse(replayed=was_over)

    async def GetAvatar(
        self, request: pb.GetAvatarRequest, context: Context
    ) -> pb.GetAvatarResponse:
        """Return an avatar."""
        task = await self._api.get_stream_task_status(
            request.avatar_id, within_s=_time_left_s(context, _ANSWER_S)
        )
        return pb.GetAvatarResponse(avatar=wire.to_avatar(task))

    async def ListAvatars(
        self, request: pb.ListAvatarsRequest, context: Context
    ) -> pb.ListAvatarsResponse:
        """List the avatars that are starting or on air."""
        tasks = await self._api.query_stream_tasks(within_s=_time_left_s(context, _ANSWER_S))
        return pb.ListAvatarsResponse(avatars=[wire.to_avatar(task) for task in tasks])

    async def ListDigitalHumans(
        self, request: pb.ListDigitalHumansRequest, context: Context
    ) -> pb.ListDigitalHumansResponse:
        """List a page of digital humans."""
        offset = _from_page_token(request.page_token)
        page = await self._api.get_digital_human_list(
            offset=offset,
            limit=request.page_size or MAX_PAGE_SIZE,
            within_s=_time_left_s(context, _ANSWER_S),
        )
        return pb.ListDigitalHumansResponse(
            digital_humans=[wire.to_digital_human(each) for each in page.digital_humans],
            next_page_token=_next_page(offset, len(page.digital_humans), page.total),
        )

    async def ListTimbres(
        self, request: pb.ListTimbresRequest, context: Context
    ) -> pb.ListTimbresResponse:
        """List a page of the cloud's voices."""
        offset = _from_page_token(request.page_token)
        page = await self._api.get_timbre_list(
            digital_human_id=request.digital_human_id,
            offset=offset,
            limit=request.page_size or MAX_PAGE_SIZE,
            within_s=_time_left_s(context, _ANSWER_S),
        )
        return pb.ListTimbresResponse(
            timbres=[wire.to_timbre(each) for each in page.timbres],
            next_page_token=_next_page(offset, len(page.timbres), page.total),
        )

    async def Drive(  # type: ignore[override]  # the coroutine form
        self, requests: AsyncIterator[pb.DriveRequest], context: Context
    ) -> None:
        """Speak one reply; this coroutine is the stream's only writer."""
        setup = (await take_setup(requests)).setup
        async with (
            self._drives.opened(
                setup.avatar_id,
                turn_id=setup.turn_id,
                sample_rate_hertz=setup.format.sample_rate_hertz,
            ) as drive,
            asyncio.TaskGroup() as group,
        ):
            feeding = group.create_task(_feed(drive, after_setup(requests)))
            sequences = count(1)
            async for event in drive.events():
                await context.write(
                    wire.to_drive_event(
                        event,
                        sequence=next(sequences),
                        turn_id=setup.turn_id,
                        now=self._clock.time(),
                    )
                )
            feeding.cancel()

    async def InterruptAvatar(
        self, request: pb.InterruptAvatarRequest, context: Context
    ) -> pb.InterruptAvatarResponse:
        """Cut off whatever an avatar is saying, and return how much of it was heard."""
        elsewhere = await self._elsewhere(request.avatar_id, context)
        if elsewhere is not None:
            answer = await self._others.interrupt(elsewhere, request)
            if answer is not None:
                return answer
        return wire.to_interrupted(await self._drives.interrupt(request.avatar_id))

    async def SpeakText(
        self, request: pb.SpeakTextRequest, context: Context
    ) -> pb.SpeakTextResponse:
        """Have the cloud's own synthesis speak a text."""
        drive_id = await self._api.drive_by_text(
            request.avatar_id,
            SpokenText(
                text=request.text,
                timbre_id=request.timbre_id,
                speech_rate=request.speech_rate,
                pitch_rate=request.pitch_rate,
                volume=request.volume if request.HasField("volume") else _DEFAULT_VOLUME,
            ),
            interrupts=request.queue_mode == pb.QUEUE_MODE_INTERRUPT,
            within_s=_time_left_s(context, _ANSWER_S),
        )
        return pb.SpeakTextResponse(drive_id=drive_id)

    async def SpeakAudioUrl(
        self, request: pb.SpeakAudioUrlRequest, context: Context
    ) -> pb.SpeakAudioUrlResponse:
        """Have the cloud play a file."""
        drive_id = await self._api.drive_by_audio(
            request.avatar_id,
            request.audio_url,
            interrupts=request.queue_mode == pb.QUEUE_MODE_INTERRUPT,
            within_s=_time_left_s(context, _ANSWER_S),
        )
        return pb.SpeakAudioUrlResponse(drive_id=drive_id)

    async def PerformAction(
        self, request: pb.PerformActionRequest, context: Context
    ) -> pb.PerformActionResponse:
        """Have an avatar make a gesture."""
        await self._api.do_action(
            request.avatar_id, request.action, within_s=_time_left_s(context, _ANSWER_S)
        )
        return pb.PerformActionResponse()

    async def CreateViewerToken(
        self, request: pb.CreateViewerTokenRequest, context: Context
    ) -> pb.CreateViewerTokenResponse:
        """Issue a viewer's token."""
        if request.publish_stream_id and not request.room_id:
            raise invalid("room_id", "required", "must be set with publish_stream_id")
        if not request.room_id and current_caller().tenant_id != DEFAULT_TENANT:
            raise invalid("room_id", "required", "must be set, as other rooms are of other tenants")
        ttl_s = wire.from_whole_seconds(request.ttl, "ttl") if request.HasField("ttl") else None
        admitted = self._viewers.admit(
            request.user_id,
            room_id=_in_cloud(request.room_id, "room_id"),
            publish_stream_id=_in_cloud(request.publish_stream_id, "publish_stream_id"),
            ttl_s=ttl_s,
        )
        return pb.CreateViewerTokenResponse(
            token=admitted.token,
            expire_time=to_timestamp(admitted.expire_time),
            app_id=self._viewers.app_id,
            playback=wire.to_playback(
                self._viewers.stage, _in_cloud(request.stream_id, "stream_id")
            ),
        )

    async def HandleCallback(
        self, request: pb.HandleCallbackRequest, context: Context
    ) -> pb.HandleCallbackResponse:
        """Verify a callback and pass it on to its drive."""
        if self._callbacks is None:
            log.warning("callback refused", refusal="CALLBACK_SECRET is not set")
            raise ServiceError(Reason.CALLBACK_INVALID, "CALLBACK_SECRET is not set.")
        try:
            received_s = self._clock.time()
            callback = await self._callbacks.verify(
                request.body, now=received_s, jumped_s=self._clock.jumped_s
            )
        except CallbackRefusedError as error:
            # Usually our secret differs from the cloud's: playback is then only estimated.
            log.warning("callback refused", refusal=error.refusal.name)
            raise ServiceError(
                Reason.CALLBACK_INVALID, f"body: {error}", refusal=error.refusal.name
            ) from error
        late_s = self._lateness.of(event_time_s=callback.event_time_s, received_s=received_s)
        if isinstance(callback, DriveCallback):
            elsewhere = await self._elsewhere(callback.task_id, context)
            report = wire.from_callback(callback)
            if elsewhere is not None:
                await self._others.take_callback(elsewhere, request)
            elif report is not None:
                self._drives.on_report(callback.task_id, callback.drive_id, report, late_s=late_s)
        return wire.to_callback_response(callback)

    async def YieldAvatar(
        self, request: pb.YieldAvatarRequest, context: Context
    ) -> pb.YieldAvatarResponse:
        """End a drive for a newer one of another replica."""
        await self._drives.give_way(UUID(request.claim_id))
        return pb.YieldAvatarResponse()

    async def _elsewhere(self, avatar_id: str, context: Context) -> str | None:
        """Return the address of the replica that drives an avatar, or did last, if not this one."""
        if self._drives.is_running(avatar_id) or _is_passed_on(context):
            return None
        return await self._claims.holder(avatar_id)


def _in_cloud(name: str, field: str) -> str:
    return in_cloud(name, current_caller(), field=field)


def _is_passed_on(context: Context) -> bool:
    return PASSED_ON_HEADER in dict(context.invocation_metadata() or ())


async def _feed(drive: Drive, requests: AsyncIterator[pb.DriveRequest]) -> None:
    """Pass a caller's messages on to its drive, in the order that the protocol allows."""
    ended_by: str | None = None
    async for request in requests:
        case = request.WhichOneof("request")
        if ended_by == "interrupt" or (ended_by and case != "interrupt"):
            raise out_of_order(f"`{case}` must not come after `{ended_by}`")
        match case:
            case "audio":
                await drive.feed(_from_pcm(request.audio.pcm))
            case "finish":
                drive.finish()
                ended_by = case
            case "interrupt":
                drive.interrupt()
                ended_by = case
    drive.finish()


def _from_pcm(pcm: bytes) -> bytes:
    if len(pcm) % SAMPLE_BYTES:
        raise refused(
            Reason.AUDIO_INVALID,
            "audio.pcm",
            "whole_samples",
            f"must hold whole samples of {SAMPLE_BYTES} bytes",
        )
    return pcm


def _time_left_s(context: Context, longest_s: float) -> float:
    remaining_s = context.time_remaining()
    if remaining_s is None:
        return longest_s
    return min(longest_s, remaining_s - min(_REPLY_S, remaining_s * _REPLY_SHARE))


def _from_page_token(page_token: str) -> int:
    offset = int(page_token or 0)
    if offset > _MAX_OFFSET:
        raise invalid("page_token", "known", "must be the next_page_token of a page before")
    return offset


def _next_page(offset: int, got: int, total: int) -> str:
    following = offset + got
    return str(following) if got and following < total else ""
