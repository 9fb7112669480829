"""The published reasons for failure, with the gRPC code and HTTP status that each one carries."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

import grpc

from digitalhuman.errors.v1 import errors_pb2 as pb


class Reason(StrEnum):
    """Why a call failed: the values of digitalhuman.errors.v1.ErrorReason without their prefix."""

    INVALID_REQUEST = "INVALID_REQUEST"
    MALFORMED_MESSAGE = "MALFORMED_MESSAGE"
    STREAM_ORDER = "STREAM_ORDER"
    SEQUENCE_OUT_OF_RANGE = "SEQUENCE_OUT_OF_RANGE"
    REQUEST_ID_REUSED = "REQUEST_ID_REUSED"
    CREDENTIALS_INVALID = "CREDENTIALS_INVALID"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    RATE_LIMITED = "RATE_LIMITED"
    QUOTA_EXCEEDED = "QUOTA_EXCEEDED"
    CANCELLED = "CANCELLED"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    DRAINING = "DRAINING"
    DEPENDENCY_UNAVAILABLE = "DEPENDENCY_UNAVAILABLE"
    JOURNAL_UNAVAILABLE = "JOURNAL_UNAVAILABLE"
    NOT_SUPPORTED = "NOT_SUPPORTED"
    INTERNAL = "INTERNAL"
    ROUTE_NOT_FOUND = "ROUTE_NOT_FOUND"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    MEDIA_TYPE_UNSUPPORTED = "MEDIA_TYPE_UNSUPPORTED"
    PAYLOAD_TOO_LARGE = "PAYLOAD_TOO_LARGE"
    API_KEY_NOT_FOUND = "API_KEY_NOT_FOUND"
    AUDIO_INVALID = "AUDIO_INVALID"
    AUDIO_FORMAT_UNSUPPORTED = "AUDIO_FORMAT_UNSUPPORTED"
    AUDIO_TOO_LONG = "AUDIO_TOO_LONG"
    LANGUAGE_UNSUPPORTED = "LANGUAGE_UNSUPPORTED"
    NO_SPEECH = "NO_SPEECH"
    TASK_NOT_FOUND = "TASK_NOT_FOUND"
    TASK_NOT_ON_AIR = "TASK_NOT_ON_AIR"
    TASK_ENDED = "TASK_ENDED"
    STREAM_IN_USE = "STREAM_IN_USE"
    EVENTS_OUT_OF_ORDER = "EVENTS_OUT_OF_ORDER"
    TURN_NOT_FOUND = "TURN_NOT_FOUND"
    CONVERSATION_ELSEWHERE = "CONVERSATION_ELSEWHERE"
    CONVERSATION_MOVED = "CONVERSATION_MOVED"
    BUDGET_EXCEEDED = "BUDGET_EXCEEDED"
    TASK_NOT_ENDED = "TASK_NOT_ENDED"
    CAPACITY_EXCEEDED = "CAPACITY_EXCEEDED"
    WEBHOOK_NOT_FOUND = "WEBHOOK_NOT_FOUND"
    WEBHOOK_LIMIT_REACHED = "WEBHOOK_LIMIT_REACHED"
    PERSONA_NOT_FOUND = "PERSONA_NOT_FOUND"
    VOICE_NOT_FOUND = "VOICE_NOT_FOUND"
    RECOGNITION_UNAVAILABLE = "RECOGNITION_UNAVAILABLE"
    CHAT_UNAVAILABLE = "CHAT_UNAVAILABLE"
    SYNTHESIS_UNAVAILABLE = "SYNTHESIS_UNAVAILABLE"
    PROVIDER_QUOTA_EXCEEDED = "PROVIDER_QUOTA_EXCEEDED"
    PROVIDER_MISCONFIGURED = "PROVIDER_MISCONFIGURED"
    TURN_ABANDONED = "TURN_ABANDONED"
    TALK_RATE_EXCEEDED = "TALK_RATE_EXCEEDED"
    AVATAR_NOT_FOUND = "AVATAR_NOT_FOUND"
    AVATAR_NOT_ON_AIR = "AVATAR_NOT_ON_AIR"
    AVATAR_ENDED = "AVATAR_ENDED"
    AVATAR_START_FAILED = "AVATAR_START_FAILED"
    AVATAR_CAPACITY_EXCEEDED = "AVATAR_CAPACITY_EXCEEDED"
    DIGITAL_HUMAN_NOT_FOUND = "DIGITAL_HUMAN_NOT_FOUND"
    DIGITAL_HUMAN_MISCONFIGURED = "DIGITAL_HUMAN_MISCONFIGURED"
    TIMBRE_NOT_FOUND = "TIMBRE_NOT_FOUND"
    TIMBRE_UNSUPPORTED = "TIMBRE_UNSUPPORTED"
    DRIVE_LOST = "DRIVE_LOST"
    DRIVE_SUPERSEDED = "DRIVE_SUPERSEDED"
    CALLBACK_INVALID = "CALLBACK_INVALID"
    CLOUD_BUSY = "CLOUD_BUSY"
    CLOUD_NO_CAPACITY = "CLOUD_NO_CAPACITY"
    CLOUD_RATE_LIMITED = "CLOUD_RATE_LIMITED"
    CLOUD_ERROR = "CLOUD_ERROR"
    CLOUD_UNREACHABLE = "CLOUD_UNREACHABLE"
    CLOUD_CREDENTIALS_REJECTED = "CLOUD_CREDENTIALS_REJECTED"
    CLOUD_CLOCK_SKEW = "CLOUD_CLOCK_SKEW"
    CLOUD_NOT_ENABLED = "CLOUD_NOT_ENABLED"
    CLOUD_REQUEST_REJECTED = "CLOUD_REQUEST_REJECTED"


class Recovery(StrEnum):
    """Whether a failure passes by itself: the values of digitalhuman.errors.v1.Recovery."""

    NONE = "UNSPECIFIED"
    OUTAGE = "OUTAGE"
    LIMIT = "LIMIT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a reason means to a caller, as the proto says."""

    code: grpc.StatusCode
    http_status: int
    title: str
    action: str
    recovery: Recovery
    has_no_effect: bool

    @property
    def is_passing(self) -> bool:
        """Whether the same call may succeed later."""
        return self.recovery is not Recovery.NONE


_CODES = {code.value[0]: code for code in grpc.StatusCode}


def _rule(reason: Reason) -> Rule:
    value = pb.ErrorReason.DESCRIPTOR.values_by_name[f"ERROR_REASON_{reason}"]
    rule = value.GetOptions().Extensions[pb.rule]
    return Rule(
        code=_CODES[rule.code],
        http_status=rule.http_status,
        title=rule.title,
        action=rule.action,
        recovery=Recovery(pb.Recovery.Name(rule.recovery).removeprefix("RECOVERY_")),
        has_no_effect=rule.no_effect,
    )


RULES: Mapping[Reason, Rule] = MappingProxyType({reason: _rule(reason) for reason in Reason})
