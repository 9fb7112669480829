"""Structured logs of all processes: one line per event, secrets blacked out."""

import logging
import sys

import structlog
from structlog.typing import EventDict, WrappedLogger

REDACTED = "[redacted]"
SECRET_KEYS = frozenset(
    {"authorization", "api_key", "password", "pcm", "prompt", "secret", "server_secret", "token"}
    | {"text", "transcript", "user_text", "reply_text", "heard_text", "wss_address"}
)


def _redact(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    for key in SECRET_KEYS & event.keys():
        event[key] = REDACTED
    return event


def configure_logs(process: str, *, level: str = "INFO", is_json: bool = False) -> None:
    """Set up the logs of a process: key=value lines, or JSON for a collector."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if is_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=28)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _redact,
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    structlog.contextvars.bind_contextvars(process=process)
