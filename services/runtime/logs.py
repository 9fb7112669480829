"""Structured logs of all processes: one line per event, with secrets redacted."""

import logging
import sys
from enum import Enum

import structlog
from structlog.typing import EventDict, WrappedLogger

from services.runtime.settings import ProcessSettings

REDACTED = "[redacted]"
SECRET_KEYS = frozenset(
    {"authorization", "api_key", "password", "pcm", "prompt", "secret", "server_secret", "token"}
    | {"text", "transcript", "user_text", "reply_text", "heard_text", "wss_address"}
)


def _redact(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    for key in SECRET_KEYS & event.keys():
        event[key] = REDACTED
    return event


def _plain(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Log members of enumerations by their values."""
    return {name: each.value if isinstance(each, Enum) else each for name, each in event.items()}


def configure_logs(process: str, settings: ProcessSettings | None = None) -> None:
    """Set up the logs of a process: readable lines, or JSON for a collector."""
    settings = settings or ProcessSettings()
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=28)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _redact,
            structlog.processors.format_exc_info,
            _plain,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    structlog.contextvars.bind_contextvars(process=process)
