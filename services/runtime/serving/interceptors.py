"""What wraps every RPC of a service: log line, errors, credentials and rules.

Outermost first: ContextInterceptor, ErrorInterceptor, IdentityInterceptor, AuthInterceptor,
CallerInterceptor, ValidationInterceptor.
"""

import asyncio
import hmac
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc
import protovalidate
import structlog
from google.protobuf.message import DecodeError, Message
from grpc_status import rpc_status
from opentelemetry.trace import Span

from services.runtime.callers.caller import acting_for, from_metadata
from services.runtime.callers.requests import (
    AUTHORIZATION_HEADER,
    REQUEST_ID_HEADER,
    new_request_id,
)
from services.runtime.failures.errors import (
    ServiceError,
    Violation,
    from_exception,
    not_admitted,
    to_status,
)
from services.runtime.failures.reasons import Reason
from services.runtime.security.identities import Identity, identities, may_call
from services.runtime.telemetry.metrics import RPC_SECONDS, RPCS
from services.runtime.telemetry.tracing import TRACE_HEADERS, mark_failed, served

log = structlog.get_logger(__name__)

# The stubs are generic, the classes are not.
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Call: TypeAlias = Callable[[Any], Awaitable[Any]]
Around: TypeAlias = Callable[[Any, Context, Call], Awaitable[Any]]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
FoundHandler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"
Continuation: TypeAlias = Callable[[grpc.HandlerCallDetails], Awaitable[FoundHandler]]

# The caller's channel retries what never arrived, or arrived at a replica that is shutting down.
# What failed behind us was already retried: more would only hide the reason behind a deadline.
NO_RETRY = ("grpc-retry-pushback-ms", "-1")
ROUTINE = ("Get", "List", "Find", "Keep")
"""The prefixes of methods that change nothing worth a line in the log."""
EXPLAINED_BYTES = 2_048
"""Of a longer message only the first fault is told."""

UNGUARDED_PREFIXES = ("/grpc.health.", "/grpc.reflection.")


def _surrounded(handler: Handler, around: Around, decode: Any = None) -> Handler:
    """Return the handler with `around` in place of its behaviour, in the coroutine form."""
    behaviour: Any = (
        handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    )

    async def handle(request: Any, context: Context) -> Any:
        async def call(request: Any) -> Any:
            result = behaviour(request, context)
            if not hasattr(result, "__aiter__"):
                return await result
            async with aclosing(result):
                async for response in result:
                    await context.write(response)
            return None

        return await around(request, context, call)

    make = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[(bool(handler.request_streaming), bool(handler.response_streaming))]
    made: Handler = make(
        handle,
        request_deserializer=decode or handler.request_deserializer,
        response_serializer=handler.response_serializer,
    )
    return made


class ContextInterceptor(grpc.aio.ServerInterceptor):
    """Binds the request id to the log; every call gets a log line and a span when it ends."""

    async def intercept_service(
        self, continuation: Continuation, details: grpc.HandlerCallDetails
    ) -> FoundHandler:
        """Wrap the method that the call names."""
        handler = await continuation(details)
        if handler is None:
            return handler
        method = details.method
        metadata = dict(details.invocation_metadata or ())
        request_id = str(metadata.get(REQUEST_ID_HEADER) or new_request_id())

        is_quiet = method.startswith(UNGUARDED_PREFIXES)
        # Replicas are kept alive, the reconciler and the page poll; what they find is logged where
        # it has consequences.
        is_routine = method.rpartition("/")[2].startswith(ROUTINE)
        trace_headers = {name: str(metadata[name]) for name in TRACE_HEADERS if name in metadata}

        async def around(request: Any, context: Context, call: Call) -> Any:
            structlog.contextvars.clear_contextvars()
            structlog.contextvars.bind_contextvars(request_id=request_id, rpc=method)
            if is_quiet:
                return await observed(request, context, call, None)
            with served(method.removeprefix("/"), trace_headers) as span:
                span.set_attribute("parley.request_id", request_id)
                return await observed(request, context, call, span)

        async def observed(request: Any, context: Context, call: Call, span: Span | None) -> Any:
            started = time.perf_counter()
            code = "OK"
            try:
                return await call(request)
            except asyncio.CancelledError:
                code = "CANCELLED"
                raise
            except BaseException:
                code = _code_name(context)
                raise
            finally:
                seconds = time.perf_counter() - started
                RPCS.labels(method=method, code=code).inc()
                RPC_SECONDS.labels(method=method).observe(seconds)
                if span is not None:
                    if code != "OK":
                        mark_failed(span, code)
                    write = log.debug if is_routine and code == "OK" else log.info
                    write("rpc ended", code=code, duration_ms=round(seconds * 1000, 1))

        return _surrounded(handler, around)


def _code_name(context: Context) -> str:
    code = context.code()
    return code.name if isinstance(code, grpc.StatusCode) else "UNKNOWN"


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Turns every exception into a published reason; the only place that aborts a call."""

    async def intercept_service(
        self, continuation: Continuation, details: grpc.HandlerCallDetails
    ) -> FoundHandler:
        """Wrap the method that the call names."""
        handler = await continuation(details)
        return handler and _surrounded(handler, self._around)

    @staticmethod
    async def _around(request: Any, context: Context, call: Call) -> Any:
        try:
            return await call(request)
        except (asyncio.CancelledError, grpc.aio.AbortError):
            raise
        except grpc.aio.InternalError:
            # What was written cannot be sent: its reader left, of which we are about to be told.
            log.info("answer not sent")
            raise asyncio.CancelledError from None
        except Exception as error:
            seen = from_exception(error)
            if seen is None:
                log.exception("rpc failed unexpectedly")
                seen = ServiceError(Reason.INTERNAL, "Something went wrong here.")
        status = rpc_status.to_status(to_status(seen))
        metadata = tuple(status.trailing_metadata)
        if seen.reason is not Reason.DRAINING:
            metadata += (NO_RETRY,)
        await context.abort(status.code, status.details, metadata)


class GuardInterceptor(grpc.aio.ServerInterceptor, ABC):
    """Wraps what is served, except health and reflection, which are open to all peers."""

    async def intercept_service(
        self, continuation: Continuation, details: grpc.HandlerCallDetails
    ) -> FoundHandler:
        """Wrap the method that the call names."""
        handler = await continuation(details)
        if handler is None or details.method.startswith(UNGUARDED_PREFIXES):
            return handler
        return _surrounded(handler, self.around(details))

    @abstractmethod
    def around(self, details: grpc.HandlerCallDetails) -> Around:
        """Return what wraps a call of such details."""


class IdentityInterceptor(GuardInterceptor):
    """Admits only whom the table of calls names."""

    def around(self, details: grpc.HandlerCallDetails) -> Around:
        """Return what wraps a call of such details."""
        method = details.method

        async def around(request: Any, context: Context, call: Call) -> Any:
            peers = _peers(context)
            if not any(may_call(each, method) for each in peers):
                known = ", ".join(sorted(peers)) or "a certificate that names no service"
                raise not_admitted(Reason.PERMISSION_DENIED, f"{known}: may not call {method}")
            return await call(request)

        return around


def _peers(context: Context) -> frozenset[Identity]:
    names = context.auth_context().get("peer_dns") or ()
    return identities(name.decode(errors="replace") for name in names)


class AuthInterceptor(GuardInterceptor):
    """Admits only callers with one of the service tokens."""

    def __init__(self, service_tokens: Sequence[str]) -> None:
        self._expected = [f"Bearer {each}".encode() for each in service_tokens]

    def around(self, details: grpc.HandlerCallDetails) -> Around:
        """Return what wraps a call of such details."""
        metadata = dict(details.invocation_metadata or ())
        given = str(metadata.get(AUTHORIZATION_HEADER, "")).encode()
        is_allowed = any([hmac.compare_digest(given, each) for each in self._expected])

        async def around(request: Any, context: Context, call: Call) -> Any:
            if not is_allowed:
                raise not_admitted(
                    Reason.CREDENTIALS_INVALID, "authorization: a valid service token is required"
                )
            return await call(request)

        return around


class CallerInterceptor(GuardInterceptor):
    """Binds for whom the call is made, which those who were admitted may say."""

    def around(self, details: grpc.HandlerCallDetails) -> Around:
        """Return what wraps a call of such details."""
        metadata = dict(details.invocation_metadata or ())

        async def around(request: Any, context: Context, call: Call) -> Any:
            with acting_for(from_metadata(metadata)):
                return await call(request)

        return around


@dataclass(frozen=True, slots=True)
class _Undecodable:
    """Stands in for bytes that are not the expected message."""


class ValidationInterceptor(grpc.aio.ServerInterceptor):
    """Refuses messages that cannot be decoded or violate a rule of their proto."""

    async def intercept_service(
        self, continuation: Continuation, details: grpc.HandlerCallDetails
    ) -> FoundHandler:
        """Wrap the method that the call names."""
        handler = await continuation(details)
        if handler is None or handler.request_deserializer is None:
            return handler
        deserialize = handler.request_deserializer

        def decode(raw: bytes) -> Any:
            # An exception here would reach the caller as UNKNOWN with its text, before any handler.
            try:
                return deserialize(raw)
            except DecodeError:
                return _Undecodable()

        is_streaming = handler.request_streaming

        async def around(request: Any, context: Context, call: Call) -> Any:
            return await call(checked_stream(request) if is_streaming else checked(request))

        return _surrounded(handler, around, decode)


async def checked_stream(requests: AsyncIterator[Any]) -> AsyncIterator[Message]:
    """Yield the messages of a stream; raises ServiceError at the first that violates a rule."""
    async for request in requests:
        yield checked(request)


def checked(request: Any) -> Message:
    """Return a message if it obeys the rules of its proto; raises ServiceError otherwise."""
    if not isinstance(request, Message):
        raise ServiceError(
            Reason.MALFORMED_MESSAGE, "The bytes are not a message of the method's request type."
        )
    try:
        # Each of many values may break a rule, and each of them would be told.
        protovalidate.validate(request, fail_fast=request.ByteSize() > EXPLAINED_BYTES)
    except protovalidate.ValidationError as error:
        violations = [_violation(each) for each in error.violations]
        first = violations[0]
        raise ServiceError(
            Reason.INVALID_REQUEST,
            f"{first.field}: {first.description}",
            violations=violations,
        ) from None
    return request


def _violation(found: protovalidate.Violation) -> Violation:
    field = ""
    for element in found.proto.field.elements if found.proto.field else ():
        subscript = element.subscript
        field += ("." if field else "") + element.field_name
        if subscript is not None and subscript.field == "index":
            field += f"[{subscript.value}]"
    return Violation(
        field=field or "request", rule=found.proto.rule_id, description=found.proto.message
    )
