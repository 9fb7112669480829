"""The cloud's thirteen actions, each as one typed method."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from services.avatar.vendor.actions import Action
from services.avatar.vendor.admission import Admission
from services.avatar.vendor.client import AnswerLostError, CloudClient, CloudRefusedError
from services.avatar.vendor.codes import Code
from services.avatar.vendor.messages import (
    CreatedTask,
    DigitalHuman,
    DigitalHumanPage,
    Message,
    OpenedDrive,
    StartedDrive,
    StreamTask,
    TaskStatus,
    TimbrePage,
    parse_stream_tasks,
)
from services.runtime.failures.errors import ServiceError

_Answer = TypeVar("_Answer", bound=Message)

MAX_PAGE_SIZE = 20
_LOOK_UP_PAUSE_S = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOrder:
    """A digital human to put on air; both limits of its life are always given, in seconds.

    Without a background (`#rrggbb`) the cloud uses its own.
    """

    digital_human_id: str
    room_id: str
    stream_id: str
    background_color: str
    ttl_s: int
    max_idle_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SpokenText:
    """A text for the cloud's own speech synthesis."""

    text: str
    timbre_id: str
    speech_rate: int
    pitch_rate: int
    volume: int


class CloudApi:
    """Every method raises ServiceError and returns or fails within its `within_s`."""

    def __init__(self, client: CloudClient) -> None:
        self._client = client
        self._admission = Admission()

    async def get_digital_human_list(
        self, *, offset: int, limit: int, within_s: float
    ) -> DigitalHumanPage:
        """Return a page of the digital humans on offer; `limit` is 1 to 20."""
        return await self._ask(
            Action.GET_DIGITAL_HUMAN_LIST,
            {"Offset": offset, "Limit": limit},
            DigitalHumanPage,
            within_s,
        )

    async def get_digital_human_info(
        self, digital_human_id: str, *, within_s: float
    ) -> DigitalHuman:
        """Return one digital human."""
        return await self._ask(
            Action.GET_DIGITAL_HUMAN_INFO,
            {"DigitalHumanId": digital_human_id},
            DigitalHuman,
            within_s,
        )

    async def get_timbre_list(
        self, *, digital_human_id: str, offset: int, limit: int, within_s: float
    ) -> TimbrePage:
        """Return a page of the public timbres, or of a digital human's own; `limit` is 1 to 20."""
        bound_to = {"DigitalHumanId": digital_human_id} if digital_human_id else {}
        return await self._ask(
            Action.GET_TIMBRE_LIST,
            {**bound_to, "Offset": offset, "Limit": limit},
            TimbrePage,
            within_s,
        )

    async def create_stream_task(self, order: StreamOrder, *, within_s: float) -> str:
        """Put a digital human on air and return the task's id; refusals say when to try again.

        Creation is not idempotent: if it is uncertain whether it happened, the stream is looked
        up, and adopted if found, before it is ordered again.
        """
        with self._admission.admitted():
            return await self._create_once(order, time.monotonic() + within_s)

    async def get_stream_task_status(self, task_id: str, *, within_s: float) -> StreamTask:
        """Return a task, even if it has ended; its room and stream are then unknown."""
        try:
            task = await self._ask(
                Action.GET_STREAM_TASK_STATUS, {"TaskId": task_id}, StreamTask, within_s
            )
        except CloudRefusedError as error:
            if error.cloud_code != Code.TASK_STOPPED:
                raise
            task = StreamTask.model_validate({"Status": TaskStatus.STOPPED})
        return task.model_copy(update={"task_id": task_id})

    async def query_stream_tasks(self, *, within_s: float) -> tuple[StreamTask, ...]:
        """Return all tasks of the account that are starting or running."""
        return await self._client.call(
            Action.QUERY_STREAM_TASKS, {}, read=parse_stream_tasks, within_s=within_s
        )

    async def stop_stream_task(self, task_id: str, *, within_s: float) -> bool:
        """End a task; return whether it had already ended or was unknown."""
        try:
            await self._order(Action.STOP_STREAM_TASK, {"TaskId": task_id}, within_s)
        except CloudRefusedError as error:
            if error.cloud_code in (Code.TASK_NOT_FOUND, Code.TASK_STOPPED):
                return True
            raise
        self._admission.freed()
        return False

    async def drive_by_text(
        self, task_id: str, spoken: SpokenText, *, interrupts: bool, within_s: float
    ) -> str:
        """Have the cloud speak a text; return the drive's id."""
        body = {
            "TaskId": task_id,
            "Text": spoken.text,
            "InterruptMode": int(interrupts),
            "TTSConfig": {
                "TimbreId": spoken.timbre_id,
                "SpeechRate": spoken.speech_rate,
                "PitchRate": spoken.pitch_rate,
                "Volume": spoken.volume,
            },
        }
        started = await self._ask(Action.DRIVE_BY_TEXT, body, StartedDrive, within_s)
        return started.drive_id

    async def drive_by_audio(
        self, task_id: str, audio_url: str, *, interrupts: bool, within_s: float
    ) -> str:
        """Have the cloud play an MP3 or WAV file; return the drive's id."""
        body = {"TaskId": task_id, "AudioUrl": audio_url, "InterruptMode": int(interrupts)}
        started = await self._ask(Action.DRIVE_BY_AUDIO, body, StartedDrive, within_s)
        return started.drive_id

    async def drive_by_ws_stream(self, task_id: str, *, within_s: float) -> OpenedDrive:
        """Cut off what is being said and open a drive that is fed by WebSocket."""
        return await self._ask(
            Action.DRIVE_BY_WS_STREAM, {"TaskId": task_id}, OpenedDrive, within_s
        )

    async def drive_by_rtc_stream(
        self, task_id: str, *, room_id: str, stream_id: str, within_s: float
    ) -> str:
        """Cut off what is being said, have an RTC stream relayed, and return the drive's id."""
        body = {"TaskId": task_id, "RTCConfig": {"RoomId": room_id, "StreamId": stream_id}}
        started = await self._ask(Action.DRIVE_BY_RTC_STREAM, body, StartedDrive, within_s)
        return started.drive_id

    async def do_action(self, task_id: str, action: str, *, within_s: float) -> None:
        """Have the digital human make a gesture."""
        await self._order(Action.DO_ACTION, {"TaskId": task_id, "Action": action}, within_s)

    async def interrupt_drive_task(self, task_id: str, *, within_s: float) -> None:
        """Cut off what is being said and drop what is queued."""
        await self._order(Action.INTERRUPT_DRIVE_TASK, {"TaskId": task_id}, within_s)

    async def _create_once(self, order: StreamOrder, deadline: float) -> str:
        doubt: ServiceError | None = None
        while True:
            try:
                return await self._create(order, deadline - time.monotonic())
            except (AnswerLostError, CloudRefusedError) as error:
                was_done_late = doubt is not None and error.cloud_code == Code.STREAM_ID_IN_USE
                if not (error.is_in_doubt or was_done_late):
                    raise
                doubt = doubt or error
            if deadline - time.monotonic() <= _LOOK_UP_PAUSE_S:
                raise doubt
            await asyncio.sleep(_LOOK_UP_PAUSE_S)
            found = await self._find(order, deadline - time.monotonic())
            if found is not None:
                return found

    async def _create(self, order: StreamOrder, within_s: float) -> str:
        config = {"DigitalHumanId": order.digital_human_id}
        if order.background_color:
            config["BackgroundColor"] = order.background_color
        body = {
            "DigitalHumanConfig": config,
            "RTCConfig": {"RoomId": order.room_id, "StreamId": order.stream_id},
            "TTL": order.ttl_s,
            "MaxIdleTime": order.max_idle_s,
        }
        created = await self._ask(Action.CREATE_STREAM_TASK, body, CreatedTask, within_s)
        return created.task_id

    async def _find(self, order: StreamOrder, within_s: float) -> str | None:
        tasks = await self.query_stream_tasks(within_s=within_s)
        return next(
            (
                task.task_id
                for task in tasks
                if (task.room_id, task.stream_id) == (order.room_id, order.stream_id)
            ),
            None,
        )

    async def _order(self, action: Action, body: Mapping[str, object], within_s: float) -> None:
        await self._client.call(action, body, read=lambda data: data, within_s=within_s)

    async def _ask(
        self,
        action: Action,
        body: Mapping[str, object],
        answer: type[_Answer],
        within_s: float,
    ) -> _Answer:
        return await self._client.call(action, body, read=answer.model_validate, within_s=within_s)
