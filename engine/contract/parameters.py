"""The parameters of each action, and how a violation is described to the caller."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_pascal

from engine.contract.codes import Code, Refusal

MAX_NAME_BYTES = 128
MAX_TEXT_CHARACTERS = 1800


def _check_bytes(text: str) -> str:
    if len(text.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES:
        raise ValueError(f"must have at most {MAX_NAME_BYTES} bytes")
    return text


Identifier = Annotated[str, Field(min_length=1, max_length=256)]
RoomId = Annotated[str, Field(min_length=1), AfterValidator(_check_bytes)]
StreamId = Annotated[
    str, Field(min_length=1, max_length=MAX_NAME_BYTES, pattern="^[0-9A-Za-z_-]+$")
]
# The current rule is six digits; the previous one was eight, with a leading alpha.
Colour = Annotated[str, Field(pattern="^#([0-9A-Fa-f]{6}|[0-9A-Fa-f]{8})$")]
InterruptMode = Annotated[int, Field(ge=0, le=1)]
VoiceChannel = Annotated[int, Field(ge=0, le=2)]


class Parameters(BaseModel):
    """Unknown members are ignored: older clients send several."""

    model_config = ConfigDict(alias_generator=to_pascal, frozen=True)


class NoParameters(Parameters):
    """The action takes no parameters."""


class Page(Parameters):
    offset: int = Field(0, ge=0, le=1_000_000)
    limit: int = Field(20, ge=1, le=20)


class ListDigitalHumans(Page):
    fetch_mode: int = Field(1, ge=1, le=3)


class GetDigitalHuman(Parameters):
    digital_human_id: Identifier


class ListTimbres(Page):
    digital_human_id: str = Field("", max_length=256)


class DigitalHumanConfig(Parameters):
    digital_human_id: Identifier
    background_color: Colour | None = None


class RtcConfig(Parameters):
    room_id: RoomId
    stream_id: StreamId


class CreateTask(Parameters):
    digital_human_config: DigitalHumanConfig
    rtc_config: RtcConfig = Field(alias="RTCConfig")
    # From an older version: its size is used if possible, and nothing in it is ever refused.
    video_config: Any = None
    ttl: int = Field(86400, ge=10, le=86400, alias="TTL")
    max_idle_time: int = Field(900, ge=30, le=86400)


class OneTask(Parameters):
    task_id: Identifier


class TtsConfig(Parameters):
    timbre_id: Identifier
    speech_rate: int = Field(0, ge=-500, le=500)
    pitch_rate: int = Field(0, ge=-500, le=500)
    volume: int = Field(50, ge=1, le=100)


class DriveByText(OneTask):
    text: str = Field(min_length=1, max_length=MAX_TEXT_CHARACTERS)
    interrupt_mode: InterruptMode = 0
    tts_config: TtsConfig = Field(alias="TTSConfig")


class DriveByAudio(OneTask):
    audio_url: str = Field(max_length=2048, pattern="^https?://[^/]+")
    interrupt_mode: InterruptMode = 0
    voice_channel: VoiceChannel = 0


class DriveByRtcStream(OneTask):
    rtc_config: RtcConfig = Field(alias="RTCConfig")


class DoAction(OneTask):
    action: Identifier


class GetDrives(Parameters):
    task_id: str = Field("", max_length=256)
    drive_id: str = Field("", max_length=256)


ACTIONS: Mapping[str, type[Parameters]] = {
    "GetDigitalHumanList": ListDigitalHumans,
    "GetDigitalHumanInfo": GetDigitalHuman,
    "GetDigitalHumanRenderInfo": GetDigitalHuman,
    "GetTimbreList": ListTimbres,
    "CreateDigitalHumanStreamTask": CreateTask,
    "GetDigitalHumanStreamTaskStatus": OneTask,
    "QueryDigitalHumanStreamTasks": NoParameters,
    "StopDigitalHumanStreamTask": OneTask,
    "DriveByText": DriveByText,
    "DriveByAudio": DriveByAudio,
    "DriveByWsStream": OneTask,
    "DriveByRTCStream": DriveByRtcStream,
    "DoAction": DoAction,
    "InterruptDriveTask": OneTask,
    "GetDriveStatus": GetDrives,
}
P = TypeVar("P", bound=Parameters)


def read_json(text: str | bytes) -> Any:
    """Read JSON as the cloud does: `10.0` is 10, and a null member is absent.

    Raises ValueError, or RecursionError if it is nested too deeply.
    """
    return json.loads(text, parse_float=_read_float, object_hook=_drop_nulls)


def _read_float(text: str) -> float:
    number = float(text)
    return int(number) if number.is_integer() else number


def _drop_nulls(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def read_members(model: type[P], members: Mapping[str, Any]) -> P:
    """Read the parameters of a JSON body, where numbers written as text are refused."""
    return _validate(model, members, strict=True)


def read_query(model: type[P], query: Mapping[str, str]) -> P:
    """Read the parameters of a query, where everything is text and objects are JSON."""
    return _validate(model, {name: _decode(value) for name, value in query.items()}, strict=False)


def _decode(value: str) -> Any:
    if not value.startswith("{"):
        return value
    try:
        return read_json(value)
    except (ValueError, RecursionError):
        return value


def _validate(model: type[P], members: Mapping[str, Any], *, strict: bool) -> P:
    try:
        return model.model_validate(members, strict=strict)
    except ValidationError as error:
        rules = [
            f"{'.'.join(map(str, item['loc']))}: {describe(item['type'], item['msg'])}"
            for item in error.errors(include_input=False, include_url=False)
        ]
        raise Refusal(Code.INVALID_PARAMETER, "; ".join(rules)) from None


def describe(kind: str, message: str) -> str:
    """Return the violated rule as one clause, without the offending value."""
    if kind == "missing":
        return "is required"
    if kind == "string_pattern_mismatch":
        return "must be of the documented form"
    return message.removeprefix("Value error, ").replace("Input should", "must", 1)
