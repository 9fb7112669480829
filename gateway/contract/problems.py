"""Failures as `application/problem+json` (RFC 9457), in the names that the client used."""

import errno
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from pydantic.alias_generators import to_camel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from digitalhuman.access.v1 import access_pb2
from digitalhuman.avatar.v1 import avatar_pb2
from digitalhuman.conversation.v1 import conversation_pb2
from digitalhuman.speech.v1 import speech_pb2
from digitalhuman.task.v1 import task_pb2
from gateway.contract.models import Problem, ProblemViolation
from gateway.telemetry import PROBLEMS
from services.runtime.callers.requests import current_request_id
from services.runtime.failures.errors import ServiceError, Violation, from_exception
from services.runtime.failures.reasons import RULES, Reason

M = TypeVar("M")

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:digitalhuman:error:"
RETRY_AFTER_S = 1.0

# Fields that the protos name differently from HTTP.
HTTP_NAMES = {
    "after_sequence": "after",
    "end_time": "to",
    "facts.client_tools.tools": "clientTools",
    "facts.client_tools.tools.description": "clientTools",
    "facts.client_tools.tools.name": "clientTools",
    "facts.client_tools.tools.parameters": "clientTools",
    "facts.client_tools.tools.timeout": "clientTools",
    "facts.history.messages": "history",
    "facts.history.messages.speaker": "history",
    "facts.history.messages.text": "history",
    "facts.history.task_id": "historyTaskId",
    "facts.hot_words.words": "hotWords",
    "facts.tools.names": "tools",
    "facts.variables.values": "variables",
    "facts.voice_id": "voiceId",
    "language_code": "lang",
    "lifetime": "expiresInSeconds",
    "max_absence": "maxAbsenceSeconds",
    "max_duration": "maxDurationSeconds",
    "max_idle_duration": "maxIdleSeconds",
    "pcm": "audio",
    "publish_stream_id": "publish",
    "request_id": "Idempotency-Key",
    "response_format": "response_format",
    "resume_after_sequence": "after",
    "say.request_id": "requestId",
    "start_time": "from",
    "states": "state",
    "text.request_id": "requestId",
    "voice_id": "voice",
    "withdraw.request_id": "requestId",
}
# The names of the services' fields, as they appear in the services' error texts.
PROTO_NAMES = frozenset(
    field.name
    for file in (access_pb2, avatar_pb2, conversation_pb2, speech_pb2, task_pb2)
    for message in file.DESCRIPTOR.message_types_by_name.values()
    for field in message.fields
    if "_" in field.name
)
_PLACES = ("body", "query", "header", "path")
PROTO_PATH = re.compile(r"\b(?:[a-z]+\.)*([a-z]+(?:_[a-z0-9]+)+)\b")
# Our names for the rules, by pydantic's error types.
RULE_NAMES = {
    "missing": "required",
    "string_type": "string",
    "string_unicode": "string",
    "int_type": "integer",
    "int_parsing": "integer",
    "model_attributes_type": "object",
    "model_type": "object",
    "dict_type": "object",
    "literal_error": "enum",
    "enum": "enum",
    "string_too_long": "max_length",
    "string_too_short": "min_length",
    "too_long": "max_items",
    "greater_than_equal": "minimum",
    "less_than_equal": "maximum",
}
HTTP_REASONS = {
    400: Reason.MALFORMED_MESSAGE,
    404: Reason.ROUTE_NOT_FOUND,
    405: Reason.METHOD_NOT_ALLOWED,
    413: Reason.PAYLOAD_TOO_LARGE,
    415: Reason.MEDIA_TYPE_UNSUPPORTED,
}


def http_name(path: str) -> str:
    """Return the client's name for a proto field: `setup.language_code` is `lang`.

    A name that is already the client's, such as `roomId` or `Content-Type`, is kept.
    """
    named = re.sub(r"\[\d+\]", "", path)
    last = named.rpartition(".")[2]
    is_of_proto = re.fullmatch(r"[a-z0-9_]+", last)
    known = HTTP_NAMES.get(named) or HTTP_NAMES.get(last)
    return known or (to_camel(last) if is_of_proto else last)


def in_http_names(text: str) -> str:
    """Return a service's text with its field names replaced by the client's."""

    def rename(found: re.Match[str]) -> str:
        return http_name(found[0]) if found[1] in PROTO_NAMES else found[0]

    return PROTO_PATH.sub(rename, text)


def refused(reason: Reason, field: str, rule: str, description: str) -> ServiceError:
    """Return an error about one field of the request."""
    violation = Violation(field=field, rule=rule, description=description)
    return ServiceError(reason, f"{field}: {description}", violations=[violation])


def violations_of(errors: Sequence[Any]) -> list[Violation]:
    """Return pydantic's errors as violations, which never echo what the client sent."""
    found = []
    for error in errors:
        names = [str(part) for part in error["loc"] if part not in _PLACES]
        found.append(
            Violation(
                field=names[0] if names else "body",
                rule=RULE_NAMES.get(error["type"], error["type"]),
                description=error["msg"],
            )
        )
    return found


def malformed_json() -> ServiceError:
    """Return the error for a body that cannot be read as JSON, in whatever encoding it is."""
    return ServiceError(Reason.MALFORMED_MESSAGE, "The body is not well-formed JSON in UTF-8.")


def invalid_request(errors: Sequence[Any]) -> ServiceError:
    """Return the error for a request that pydantic rejected."""
    if any(error["type"] == "json_invalid" for error in errors):
        return malformed_json()
    found = violations_of(errors)
    first = found[0]
    return ServiceError(
        Reason.INVALID_REQUEST, f"{first.field}: {first.description}", violations=found
    )


def to_problem(error: ServiceError, *, instance: str) -> Problem:
    """Return an error as a problem; `success` and `error` are what the sample's clients read."""
    rule = RULES[error.reason]
    violations = [
        ProblemViolation(
            field=http_name(each.field),
            rule=each.rule,
            description=in_http_names(each.description),
        )
        for each in error.violations
    ]
    detail = in_http_names(error.message)
    if violations:
        detail = f"{violations[0].field}: {violations[0].description}"
    return Problem(
        type=TYPE_PREFIX + error.reason,
        title=rule.title,
        status=rule.http_status,
        detail=detail,
        instance=instance,
        code=rule.code.name,
        reason=str(error.reason),
        recovery=rule.recovery.name,
        metadata={http_name(name): value for name, value in error.metadata.items()},
        request_id=current_request_id(),
        violations=violations,
        error=detail,
    )


def validated(validate: Callable[[Any], M], given: Any) -> M:
    """Return what pydantic makes of a request; raises ServiceError with the field and the rule."""
    try:
        return validate(given)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise invalid_request(found) from None


def problem_response(
    error: ServiceError, *, instance: str, headers: dict[str, str] | None = None
) -> Response:
    """Return the answer to a request that failed."""
    rule = RULES[error.reason]
    PROBLEMS.labels(reason=error.reason).inc()
    answered = dict(headers or {})
    wait_s = error.retry_after_s
    if wait_s is None and rule.http_status in (429, 503):
        wait_s = RETRY_AFTER_S
    if wait_s is not None:
        answered["Retry-After"] = str(max(1, math.ceil(wait_s)))
    if rule.http_status == 401:
        answered["WWW-Authenticate"] = "Bearer"
    return JSONResponse(
        to_problem(error, instance=instance).to_json(),
        status_code=rule.http_status,
        headers=answered,
        media_type=MEDIA_TYPE,
    )


def visible_error(error: BaseException) -> ServiceError:
    """Return what a caller may see of any exception; an unexpected one is logged, not shown."""
    if isinstance(error, ClientDisconnect):
        return ServiceError(Reason.CANCELLED, "The client went away.")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        log.error("disk full", error=error.strerror)
        return ServiceError(
            Reason.CAPACITY_EXCEEDED, "There is no room for this here at the moment."
        )
    known = from_exception(error)
    if known is None:
        log.error("request failed unexpectedly", exc_info=error)
        return ServiceError(Reason.INTERNAL, "Something went wrong here.")
    return known


def install_problems(app: FastAPI) -> None:
    """Have the application answer every error with a problem."""

    async def on_service_error(request: Request, error: Exception) -> Response:
        return problem_response(visible_error(error), instance=request.url.path)

    async def on_validation_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return problem_response(invalid_request(error.errors()), instance=request.url.path)

    async def on_http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return problem_response(
            _of_http_error(error), instance=request.url.path, headers=dict(error.headers or {})
        )

    app.add_exception_handler(ServiceError, on_service_error)
    app.add_exception_handler(RequestValidationError, on_validation_error)
    app.add_exception_handler(HTTPException, on_http_error)


def _of_http_error(error: HTTPException) -> ServiceError:
    # FastAPI wraps every exception that is raised while it reads a body.
    if isinstance(error.__cause__, ServiceError):
        return error.__cause__
    if isinstance(error.__cause__, ValueError | RecursionError):
        return malformed_json()
    reason = HTTP_REASONS.get(error.status_code, Reason.INTERNAL)
    return ServiceError(reason, RULES[reason].title + ".")
