"""What the cloud's return codes mean: our reason, and whether the call may be retried."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from types import MappingProxyType

from services.runtime.failures.reasons import Reason


class Code(IntEnum):
    """The return codes that the client handles individually."""

    SUCCESS = 0
    INVALID_PARAMETER = 400000001
    TASK_NOT_FOUND = 400000005
    TASK_NOT_ON_AIR = 400000006
    TASK_STOPPED = 400000007
    STREAM_ID_IN_USE = 400000015
    RATE_LIMIT = 400010009


class Retry(Enum):
    """When a refused call may be retried, within its deadline."""

    NEVER = "never"
    ONCE = "once"
    BACK_OFF = "back off"

    BACK_OFF_IF_HARMLESS = "back off if harmless"
    """The cloud failed half-way: retry only if the action is idempotent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What a return code means to our callers."""

    reason: Reason
    message: str
    retry: Retry = Retry.NEVER


def _refused(message: str) -> Meaning:
    return Meaning(reason=Reason.CLOUD_REQUEST_REJECTED, message=message)


def _credentials(message: str) -> Meaning:
    return Meaning(reason=Reason.CLOUD_CREDENTIALS_REJECTED, message=message)


def _account(message: str) -> Meaning:
    return Meaning(reason=Reason.CLOUD_NOT_ENABLED, message=message)


def _failure(message: str) -> Meaning:
    return Meaning(reason=Reason.CLOUD_ERROR, message=message, retry=Retry.BACK_OFF_IF_HARMLESS)


# It is uncertain whether the cloud acted.
UNKNOWN = _failure("The cloud answers with a code that is not documented.")

MEANINGS: Mapping[int, Meaning] = MappingProxyType(
    {
        # The gateway before the service.
        100000000: _refused("The cloud does not serve this host name."),
        100000001: _credentials("The cloud cannot read the application id."),
        100000002: _refused("The cloud misses the time stamp."),
        100000003: _refused("The cloud cannot read the time stamp."),
        100000004: Meaning(
            reason=Reason.CLOUD_CLOCK_SKEW,
            message="The cloud's clock and ours differ by more than ten minutes.",
            retry=Retry.ONCE,
        ),
        100000005: _credentials("The cloud does not accept the signature."),
        100000006: _refused("The cloud misses the action."),
        100000007: _refused("The cloud does not know the action."),
        100000008: _refused("The cloud misses the nonce."),
        100000009: _refused("The cloud misses the signature."),
        100000010: _credentials("The cloud knows no secret for the application id."),
        100000011: _credentials("The cloud knows no settings for the application id."),
        100000012: _refused("The cloud cannot read the body."),
        100000013: _refused("The cloud misses the signature's version."),
        100000014: _refused("The cloud does not support the signature's version."),
        100000015: _failure("The cloud's gateway failed."),
        100000016: _account("The application is not set up for production."),
        100000017: _account("The application has not enabled this service."),
        # The service.
        Code.INVALID_PARAMETER: _refused("The cloud refuses a parameter."),
        400000002: _account("The digital-human service is not enabled for the application."),
        400000003: Meaning(
            reason=Reason.DIGITAL_HUMAN_NOT_FOUND, message="There is no such digital human."
        ),
        400000004: Meaning(reason=Reason.TIMBRE_NOT_FOUND, message="There is no such timbre."),
        Code.TASK_NOT_FOUND: Meaning(
            reason=Reason.AVATAR_NOT_FOUND, message="There is no such avatar."
        ),
        Code.TASK_NOT_ON_AIR: Meaning(
            reason=Reason.AVATAR_NOT_ON_AIR,
            message="The avatar is not on air yet.",
            retry=Retry.BACK_OFF,
        ),
        Code.TASK_STOPPED: Meaning(reason=Reason.AVATAR_ENDED, message="The avatar has ended."),
        400000008: Meaning(
            reason=Reason.AVATAR_CAPACITY_EXCEEDED,
            message="As many avatars are on air as the account allows.",
        ),
        400000009: Meaning(
            reason=Reason.TIMBRE_UNSUPPORTED,
            message="The avatar cannot speak with this timbre.",
        ),
        400000010: Meaning(
            reason=Reason.DIGITAL_HUMAN_MISCONFIGURED,
            message="The digital human's own settings are wrong.",
        ),
        Code.STREAM_ID_IN_USE: Meaning(
            reason=Reason.STREAM_IN_USE, message="The stream id belongs to a running avatar."
        ),
        400000016: Meaning(
            reason=Reason.DIGITAL_HUMAN_MISCONFIGURED,
            message="The digital human's model has the wrong version.",
        ),
        400010000: _failure("The cloud failed."),
        400010001: _account("The application may not use this action."),
        400010002: Meaning(
            reason=Reason.CLOUD_BUSY, message="The cloud is busy.", retry=Retry.BACK_OFF
        ),
        400010007: Meaning(
            reason=Reason.CLOUD_NO_CAPACITY,
            message="The cloud has no free node.",
            retry=Retry.BACK_OFF,
        ),
        400010008: _refused("The cloud does not know the network that was named."),
        Code.RATE_LIMIT: Meaning(
            reason=Reason.CLOUD_RATE_LIMITED,
            message="The cloud takes no more calls of this kind for now.",
            retry=Retry.BACK_OFF,
        ),
        # Withdrawn from the manual, but the gateway may still send them.
        400000011: _failure("The cloud's text generation failed."),
        400000012: _account("The account is in arrears."),
        400000013: _failure("The cloud's speech synthesis failed."),
        400000014: Meaning(
            reason=Reason.TIMBRE_UNSUPPORTED, message="The timbre's resources are unusable."
        ),
        400000017: _refused("The cloud's moderation refuses the content."),
        400000018: _refused("The cloud refuses the picture's size."),
        400000019: _refused("The cloud cannot fetch the file."),
        400000020: _refused("The cloud refuses the picture's file size."),
        400000021: _refused("The cloud refuses the number of videos."),
        400010003: _failure("The cloud's moderation failed."),
        400004001: _refused("The cloud's recognition refuses a parameter."),
        400004006: Meaning(
            reason=Reason.CLOUD_BUSY, message="The cloud's recognition is fully used."
        ),
        400004007: _refused("The cloud's recognition cannot read the audio."),
        400004008: _refused("The cloud's recognition got no audio."),
        400004009: _refused("The cloud's recognition lost its client."),
        400004010: _refused("The cloud's recognition does not know a message."),
        400004011: Meaning(
            reason=Reason.CLOUD_BUSY, message="The cloud's recognition is overloaded."
        ),
        400004012: _refused("The cloud's recognition refuses a parameter of the stream."),
        400004013: _failure("The cloud's recognition took too long."),
    }
)
