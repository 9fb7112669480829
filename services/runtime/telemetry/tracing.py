"""Traces: what one request causes in all processes, for an OpenTelemetry collector, if any.

Without a collector the API's own spans are used, which record nothing and cost next to nothing.
"""

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TypeAlias

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from services.runtime.network.proxies import proxy_for
from services.runtime.settings.environment import SettingsError
from services.runtime.settings.values import check_url

COLLECTOR_VARIABLES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
LAST_SPANS_S = 2.0
"""How long shutdown may wait for a collector that does not answer."""

TRACE_HEADERS = ("traceparent", "tracestate")

Place: TypeAlias = Context
"""The parent of spans."""
Attributes: TypeAlias = Mapping[str, AttributeValue]

_tracer = trace.get_tracer("parley")
_propagator = TraceContextTextMapPropagator()


@contextmanager
def tracing(process: str) -> Iterator[None]:
    """Send the spans of a process to the collector that the standard variables name, if any.

    Raises SettingsError if they name an impossible one.
    """
    if not _is_wanted(os.environ):
        yield
        return
    # Imported only here: it takes a quarter of a second and some megabytes.
    import requests
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    # The standard variables take precedence.
    name = os.environ.get("OTEL_SERVICE_NAME", f"parley-{process}")
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: name}))
    session = requests.Session()
    # The library would use the environment's proxy even for our own collector.
    session.trust_env = False
    if proxy := proxy_for(_collector(os.environ), os.environ):
        session.proxies = {"http": proxy, "https": proxy}
    exporter = OTLPSpanExporter(session=session)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    try:
        yield
    finally:
        # The last spans would be retried for longer than shutdown may take.
        giving_up = threading.Timer(LAST_SPANS_S, exporter.shutdown)
        giving_up.start()
        provider.shutdown()
        giving_up.cancel()


def _collector(environment: Mapping[str, str]) -> str:
    """Return the collector's URL; the one for traces takes precedence."""
    variable = next(name for name in reversed(COLLECTOR_VARIABLES) if environment.get(name))
    try:
        return check_url(environment[variable], "http", "https")
    except ValueError as error:
        raise SettingsError(f"{variable}: {error}") from None


def _is_wanted(environment: Mapping[str, str]) -> bool:
    is_off = (
        environment.get("OTEL_SDK_DISABLED", "").lower() == "true"
        or environment.get("OTEL_TRACES_EXPORTER", "otlp") != "otlp"
    )
    return not is_off and any(environment.get(name) for name in COLLECTOR_VARIABLES)


@contextmanager
def served(name: str, headers: Mapping[str, str]) -> Iterator[Span]:
    """Open a span around the serving of a request, below the caller's if its headers name one."""
    with _spanned(name, SpanKind.SERVER, _propagator.extract(headers)) as span:
        yield span


@contextmanager
def called(name: str) -> Iterator[Span]:
    """Open a span around a call to a part that is not ours."""
    with _spanned(name, SpanKind.CLIENT, None) as span:
        yield span


def mark_failed(span: Span, what: str) -> None:
    """Mark a span as failed; `what` is a code or a reason, never what someone said."""
    span.set_attribute("error.type", what)
    span.set_status(StatusCode.ERROR)


def trace_headers() -> tuple[tuple[str, str], ...]:
    """Return the headers that put a call below the current span, if there is one."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return tuple(carrier.items())


def current() -> Place:
    """Return the parent of spans that start now."""
    return context.get_current()


@contextmanager
def resumed(below: Place) -> Iterator[None]:
    """Start spans below a parent from elsewhere."""
    token = context.attach(below)
    try:
        yield
    finally:
        context.detach(token)


def record(
    name: str, *, start_s: float, end_s: float, attributes: Attributes, parent: Span | None = None
) -> Span:
    """Record a past span, in Unix seconds, below the parent or the current span."""
    below: Context | None = trace.set_span_in_context(parent) if parent is not None else None
    span = _tracer.start_span(
        name, context=below, attributes=attributes, start_time=_nanoseconds(start_s)
    )
    span.end(end_time=_nanoseconds(end_s))
    return span


@contextmanager
def _spanned(name: str, kind: SpanKind, parent: Context | None) -> Iterator[Span]:
    span = _tracer.start_span(name, context=parent, kind=kind)
    try:
        # Messages of exceptions may contain what was said; codes are set where they are known.
        with resumed(trace.set_span_in_context(span)):
            yield span
    finally:
        span.end()


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
