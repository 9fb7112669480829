"""The actions of the API: from validated parameters to the Data of the answer."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from engine.audio.sound import VoiceChannel
from engine.contract import parameters as ask
from engine.contract.codes import Code, Refusal
from engine.contract.drive_token import DriveTokens
from engine.routes.preview_videos import preview_address
from engine.sources.audio_url import AudioFiles
from engine.sources.speaker import Speaker, Timbre, feed_speech
from engine.tasks.digital_humans import DIGITAL_HUMANS, DigitalHuman, find_digital_human
from engine.tasks.drives import Drive
from engine.tasks.lifecycle import Tasks
from engine.tasks.stage import FeedError, Order
from engine.tasks.task import Task, TaskStatus

Data = dict[str, Any] | None
Handler = Callable[[Any, str], Awaitable[Data]]

ORDERS = {0: Order.LAST, 1: Order.NOW}
FETCH_PRIVATE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Actions:
    """Handlers take the parameters and the base URL that the caller used; None means no Data."""

    tasks: Tasks
    tokens: DriveTokens
    speaker: Speaker
    audio_files: AudioFiles
    drive_address: str

    def handlers(self) -> Mapping[str, Handler]:
        """The handler of every action, by name."""
        return {
            "GetDigitalHumanList": self.list_digital_humans,
            "GetDigitalHumanInfo": self.get_digital_human,
            "GetDigitalHumanRenderInfo": self.get_render_info,
            "GetTimbreList": self.list_timbres,
            "CreateDigitalHumanStreamTask": self.create_task,
            "GetDigitalHumanStreamTaskStatus": self.get_task,
            "QueryDigitalHumanStreamTasks": self.list_tasks,
            "StopDigitalHumanStreamTask": self.stop_task,
            "DriveByText": self.drive_by_text,
            "DriveByAudio": self.drive_by_audio,
            "DriveByWsStream": self.drive_by_socket,
            "DriveByRTCStream": self.drive_by_rtc_stream,
            "DoAction": self.do_action,
            "InterruptDriveTask": self.interrupt,
            "GetDriveStatus": self.get_drives,
        }

    async def list_digital_humans(self, request: ask.ListDigitalHumans, base_url: str) -> Data:
        # All digital humans are public, so the list of private ones is empty.
        digital_humans = () if request.fetch_mode == FETCH_PRIVATE else DIGITAL_HUMANS
        page = digital_humans[request.offset : request.offset + request.limit]
        return {
            "Total": len(digital_humans),
            "DigitalHumans": [
                _show_digital_human(digital_human, base_url) for digital_human in page
            ],
        }

    async def get_digital_human(self, request: ask.GetDigitalHuman, base_url: str) -> Data:
        return _show_digital_human(find_digital_human(request.digital_human_id), base_url)

    async def get_render_info(self, request: ask.GetDigitalHuman, base_url: str) -> Data:
        # Our viewers receive video or their own files: nothing is rendered from a package.
        find_digital_human(request.digital_human_id)
        return {"ClientInferencePackageUrl": "", "IsSupportSmallImageMode": False}

    async def list_timbres(self, request: ask.ListTimbres, base_url: str) -> Data:
        timbres: Sequence[Timbre] = ()
        if request.digital_human_id:
            # There are no private timbres.
            find_digital_human(request.digital_human_id)
        else:
            timbres = await self.speaker.timbres()
        page = timbres[request.offset : request.offset + request.limit]
        return {
            "Total": len(timbres),
            "Timbres": [
                {"TimbreId": timbre.timbre_id, "Name": timbre.name, "AvatarUrl": ""}
                for timbre in page
            ],
        }

    async def create_task(self, request: ask.CreateTask, base_url: str) -> Data:
        find_digital_human(request.digital_human_config.digital_human_id)
        return {"TaskId": self.tasks.create(request).task_id}

    async def get_task(self, request: ask.OneTask, base_url: str) -> Data:
        task = self.tasks.get(request.task_id)
        if task.status is TaskStatus.STOPPED:
            raise Refusal(Code.STREAM_STOPPED)
        return {
            "Status": task.status,
            "RoomId": task.room_id,
            "StreamId": task.stream_id,
            "FailReason": task.fail_reason,
            "CreateTime": int(task.created_time),
        }

    async def list_tasks(self, request: ask.NoParameters, base_url: str) -> Data:
        return {
            "TaskList": [
                {
                    "TaskId": task.task_id,
                    "RoomId": task.room_id,
                    "StreamId": task.stream_id,
                    "Status": task.status,
                    "CreateTime": int(task.created_time),
                }
                for task in self.tasks.live
                if task.status in (TaskStatus.INITIALISING, TaskStatus.STREAMING)
            ]
        }

    async def stop_task(self, request: ask.OneTask, base_url: str) -> Data:
        await self.tasks.stop(self.tasks.get(request.task_id))
        return None

    async def drive_by_text(self, request: ask.DriveByText, base_url: str) -> Data:
        task = self.tasks.get(request.task_id)
        task.require_stage()
        offered = {timbre.timbre_id for timbre in await self.speaker.timbres()}
        if request.tts_config.timbre_id not in offered:
            raise Refusal(Code.TIMBRE_NOT_FOUND)
        # The task may have ended in the meantime.
        stage = task.require_stage()
        feeder = partial(
            feed_speech, speaker=self.speaker, text=request.text, config=request.tts_config
        )
        drive = stage.add("DriveByText", ORDERS[request.interrupt_mode], feeder)
        return {"DriveId": drive.drive_id}

    async def drive_by_audio(self, request: ask.DriveByAudio, base_url: str) -> Data:
        stage = self.tasks.get(request.task_id).require_stage()
        feeder = partial(
            self.audio_files.feed,
            url=request.audio_url,
            voice_channel=VoiceChannel(request.voice_channel),
        )
        drive = stage.add("DriveByAudio", ORDERS[request.interrupt_mode], feeder)
        return {"DriveId": drive.drive_id}

    async def drive_by_socket(self, request: ask.OneTask, base_url: str) -> Data:
        drive = self.tasks.get(request.task_id).require_stage().add("DriveByWsStream", Order.ALONE)
        token = self.tokens.issue(request.task_id)
        return {"DriveId": drive.drive_id, "WssAddress": f"{self.drive_address}?Token={token}"}

    async def drive_by_rtc_stream(self, request: ask.DriveByRtcStream, base_url: str) -> Data:
        stage = self.tasks.get(request.task_id).require_stage()
        drive = stage.add("DriveByRTCStream", Order.ALONE, _fail_to_relay)
        return {"DriveId": drive.drive_id}

    async def do_action(self, request: ask.DoAction, base_url: str) -> Data:
        task = self.tasks.get(request.task_id)
        stage = task.require_stage()
        digital_human = find_digital_human(task.request.digital_human_config.digital_human_id)
        if request.action not in digital_human.actions:
            raise Refusal(Code.INVALID_PARAMETER, "Action: is not an action of this digital human")
        stage.act(request.action)
        return None

    async def interrupt(self, request: ask.OneTask, base_url: str) -> Data:
        self.tasks.get(request.task_id).require_stage().interrupt()
        return None

    async def get_drives(self, request: ask.GetDrives, base_url: str) -> Data:
        if not request.task_id and not request.drive_id:
            raise Refusal(Code.INVALID_PARAMETER, "TaskId: is required without a DriveId")
        tasks = [self.tasks.get(request.task_id)] if request.task_id else self.tasks.live
        return {
            "DriveList": [
                {"DriveId": drive.drive_id, "Status": self.tasks.rules.shown_status(drive)}
                for drive in _drives(tasks)
                if request.drive_id in ("", drive.drive_id)
            ]
        }


async def _fail_to_relay(drive: Drive) -> None:
    # As in the cloud, the caller learns of a missing source stream by the drive's failure.
    raise FeedError("the engine has no RTC room to hear a stream of")


def _drives(tasks: list[Task]) -> list[Drive]:
    return [drive for task in tasks for drive in task.drives]


def _show_digital_human(digital_human: DigitalHuman, base_url: str) -> dict[str, Any]:
    return {
        "DigitalHumanId": digital_human.digital_human_id,
        "Name": digital_human.name,
        "AvatarUrl": f"{base_url}/pictures/{digital_human.picture}",
        "IsPublic": True,
        "Actions": [
            {
                "Action": action,
                "PreviewUrl": base_url + preview_address(digital_human.digital_human_id, action),
            }
            for action in digital_human.actions
        ],
    }
