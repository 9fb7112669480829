"""The one exception of all services, and its conversion to and from google.rpc.Status."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from services.runtime.failures.reasons import RULES, Reason
from services.runtime.wire import from_duration, to_duration

DOMAIN = "digitalhuman"
_SERVICE = "service"

MOST_MESSAGE_BYTES = 900
MOST_VIOLATION_BYTES = 3_000
"""What a caller learns of one failure. It travels in the trailers, encoded and partly twice, and a
peer refuses trailers beyond 8 KiB, with an error of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A field that violates a rule; `field` is its path in the request, such as `setup.format`."""

    field: str
    rule: str
    description: str


class ServiceError(Exception):
    """A failure that a caller may see: a published reason and a message without secrets."""

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        violations: Sequence[Violation] = (),
        retry_after_s: float | None = None,
        **metadata: str,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.violations = tuple(violations)
        self.retry_after_s = retry_after_s
        self.metadata = metadata

    @property
    def code(self) -> grpc.StatusCode:
        """The gRPC code of the reason."""
        return RULES[self.reason].code


def invalid(field: str, rule: str, description: str) -> ServiceError:
    """Return the error for one field that violates a rule."""
    return refused(Reason.INVALID_REQUEST, field, rule, description)


def refused(
    reason: Reason, field: str, rule: str, description: str, **metadata: str
) -> ServiceError:
    """Return the error for one field that cannot be served, for a specific reason."""
    violation = Violation(field=field, rule=rule, description=description)
    return ServiceError(
        reason,
        f"{field}: {description}",
        violations=[violation],
        retry_after_s=None,
        **metadata,
    )


@contextmanager
def fields_within(message: str) -> Iterator[None]:
    """Prefix the fields of errors with their message: `voice_id` becomes `setup.voice_id`."""
    try:
        yield
    except ServiceError as error:
        if not error.violations:
            raise
        placed = [replace(each, field=f"{message}.{each.field}") for each in error.violations]
        raise ServiceError(
            error.reason,
            f"{placed[0].field}: {placed[0].description}",
            violations=placed,
            retry_after_s=error.retry_after_s,
            **error.metadata,
        ) from None


def not_admitted(reason: Reason, message: str) -> ServiceError:
    """Return the error for a caller whose own credentials, a service's, are refused."""
    return ServiceError(reason, message, refused=_SERVICE)


def to_status(error: ServiceError) -> status_pb2.Status:
    """Return the status of an error: one ErrorInfo, then field violations and a retry hint.

    Of many violations it has the first, and of a long message the beginning.
    """
    message = error.message.encode()[:MOST_MESSAGE_BYTES].decode(errors="ignore")
    status = status_pb2.Status(code=error.code.value[0], message=message)
    status.details.add().Pack(
        error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata)
    )
    if error.violations:
        bad_request = error_details_pb2.BadRequest()
        for violation in error.violations:
            bad_request.field_violations.add(
                field=violation.field, reason=violation.rule, description=violation.description
            )
            if bad_request.ByteSize() > MOST_VIOLATION_BYTES:
                del bad_request.field_violations[-1]
                break
        status.details.add().Pack(bad_request)
    if error.retry_after_s is not None:
        delay = to_duration(error.retry_after_s)
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    return status


def from_status(status: status_pb2.Status) -> ServiceError | None:
    """Return the error that a status carries, or None if it has no reason of ours."""
    info = error_details_pb2.ErrorInfo()
    bad_request = error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    retry_after_s = None
    for detail in status.details:
        if detail.Unpack(retry):
            retry_after_s = from_duration(retry.retry_delay)
        else:
            detail.Unpack(info) or detail.Unpack(bad_request)
    if info.domain != DOMAIN or info.reason not in Reason.__members__:
        return None
    return ServiceError(
        Reason(info.reason),
        status.message,
        violations=[
            Violation(field=each.field, rule=each.reason, description=each.description)
            for each in bad_request.field_violations
        ],
        retry_after_s=retry_after_s,
        **info.metadata,
    )


_FOREIGN_CODES = {
    grpc.StatusCode.DEADLINE_EXCEEDED: Reason.DEADLINE_EXCEEDED,
    grpc.StatusCode.UNIMPLEMENTED: Reason.NOT_SUPPORTED,
}

UNWRITTEN = "Internal error from Core"
"""What grpc.aio says of a call that ended while it was written to; the peer's status is lost."""


def from_rpc_error(error: grpc.aio.AioRpcError) -> ServiceError:
    """Return the error with which a service behind this one failed.

    A failure without a reason of ours comes from gRPC itself, whose text may name addresses; only
    its meaning is passed on. Whatever its code, the peer could not be asked or understood. That is
    what a refusal of this service means, too, to those who asked it.
    """
    told = answer_of(error)
    if told is None:
        reason = _FOREIGN_CODES.get(error.code(), Reason.DEPENDENCY_UNAVAILABLE)
        return ServiceError(reason, RULES[reason].title + ".")
    if told.metadata.get("refused") == _SERVICE:
        return ServiceError(Reason.DEPENDENCY_UNAVAILABLE, "A service refuses this one's calls.")
    return told


def answer_of(error: grpc.aio.AioRpcError) -> ServiceError | None:
    """Return the error that a peer answered with, or None if it answered nothing of ours."""
    try:
        status = rpc_status.from_call(error)
    except (ValueError, DecodeError):
        # The call ended otherwise than its details say, or they are none.
        return None
    return from_status(status) if status is not None else None


def from_exception(error: BaseException) -> ServiceError | None:
    """Return the error that a caller may see for an exception; None if it is unexpected."""
    match error:
        case ServiceError():
            return error
        case grpc.aio.AioRpcError():
            return from_rpc_error(error)
        case TimeoutError():
            return ServiceError(Reason.DEADLINE_EXCEEDED, "The answer took too long.")
        case BaseExceptionGroup():
            found = (from_exception(each) for each in error.exceptions)
            return next((each for each in found if each is not None), None)
        case _:
            return None
