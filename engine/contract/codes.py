"""The cloud's return codes, and the one exception that carries them."""

from enum import IntEnum


class Code(IntEnum):
    """Return codes of the gateway (1000000xx) and of the digital human service (4000xxxxx)."""

    SUCCESS = 0
    APP_ID_FORMAT = 100000001
    TIMESTAMP_EMPTY = 100000002
    TIMESTAMP_FORMAT = 100000003
    SIGNATURE_EXPIRED = 100000004
    SIGNATURE_WRONG = 100000005
    ACTION_EMPTY = 100000006
    ACTION_UNSUPPORTED = 100000007
    NONCE_EMPTY = 100000008
    SIGNATURE_EMPTY = 100000009
    APP_ID_UNKNOWN = 100000010
    BODY_UNREADABLE = 100000012
    VERSION_EMPTY = 100000013
    VERSION_UNSUPPORTED = 100000014
    INVALID_PARAMETER = 400000001
    SERVICE_NOT_ENABLED = 400000002
    DIGITAL_HUMAN_NOT_FOUND = 400000003
    TIMBRE_NOT_FOUND = 400000004
    TASK_NOT_FOUND = 400000005
    STREAM_NOT_STARTED = 400000006
    STREAM_STOPPED = 400000007
    CONCURRENCY_EXCEEDED = 400000008
    TIMBRE_UNSUPPORTED = 400000009
    CONFIGURATION_ERROR = 400000010
    STREAM_ID_IN_USE = 400000015
    MODEL_VERSION_ERROR = 400000016
    SYSTEM_ERROR = 400010000
    NO_PERMISSION = 400010001
    SYSTEM_BUSY = 400010002
    NO_RESOURCE = 400010007
    RATE_LIMITED = 400010009


MESSAGES = {
    Code.SUCCESS: "success",
    Code.APP_ID_FORMAT: "AppId must be a decimal number from 1 to 4294967295",
    Code.TIMESTAMP_EMPTY: "Timestamp is missing",
    Code.TIMESTAMP_FORMAT: "Timestamp must be a decimal number of Unix seconds",
    Code.SIGNATURE_EXPIRED: "signature expired: Timestamp is more than 600 seconds off",
    Code.SIGNATURE_WRONG: "signature error",
    Code.ACTION_EMPTY: "Action is missing",
    Code.ACTION_UNSUPPORTED: "Action is not supported",
    Code.NONCE_EMPTY: "SignatureNonce is missing",
    Code.SIGNATURE_EMPTY: "Signature is missing",
    Code.APP_ID_UNKNOWN: "AppId is not known",
    Code.BODY_UNREADABLE: "HTTP body is not readable as JSON",
    Code.VERSION_EMPTY: "SignatureVersion is missing",
    Code.VERSION_UNSUPPORTED: "SignatureVersion must be 2.0",
    Code.INVALID_PARAMETER: "invalid input parameter",
    Code.SERVICE_NOT_ENABLED: "digital human service is not enabled",
    Code.DIGITAL_HUMAN_NOT_FOUND: "digital human not found",
    Code.TIMBRE_NOT_FOUND: "timbre not found",
    Code.TASK_NOT_FOUND: "task not found",
    Code.STREAM_NOT_STARTED: "stream not started yet",
    Code.STREAM_STOPPED: "stream already stopped",
    Code.CONCURRENCY_EXCEEDED: "concurrent stream limit exceeded",
    Code.TIMBRE_UNSUPPORTED: "this stream does not support the timbre",
    Code.CONFIGURATION_ERROR: "digital human internal configuration error",
    Code.STREAM_ID_IN_USE: "StreamId is already in use",
    Code.MODEL_VERSION_ERROR: "model version error",
    Code.SYSTEM_ERROR: "system error",
    Code.NO_PERMISSION: "no permission for this API",
    Code.SYSTEM_BUSY: "system busy",
    Code.NO_RESOURCE: "no resource available",
    Code.RATE_LIMITED: "rate limit exceeded",
}


class Refusal(Exception):
    """A call is answered with a code other than success."""

    def __init__(self, code: Code, detail: str = "") -> None:
        self.code = code
        self.message = f"{MESSAGES[code]}: {detail}" if detail else MESSAGES[code]
        super().__init__(self.message)
