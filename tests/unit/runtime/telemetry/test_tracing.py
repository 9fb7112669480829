"""Without a collector, or when told so, nothing is recorded."""

import pytest
from opentelemetry import trace

from services.runtime.telemetry.tracing import COLLECTOR_VARIABLES, served, trace_headers, tracing

COLLECTOR = {COLLECTOR_VARIABLES[0]: "http://127.0.0.1:9"}


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {COLLECTOR_VARIABLES[0]: ""},
        {**COLLECTOR, "OTEL_SDK_DISABLED": "true"},
        {**COLLECTOR, "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_it_is_off_unless_wanted(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    for name in (*COLLECTOR_VARIABLES, "OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with tracing("test"), served("request", {}) as span:
        assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
        assert not span.is_recording()
        assert trace_headers() == ()
