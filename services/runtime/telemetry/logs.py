"""Structured logs of all processes: one line per event, with secrets redacted."""

import logging
import sys
from enum import Enum
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

from services.runtime.settings.environment import ProcessSettings
from services.runtime.telemetry.log_writer import LogQueue, write_log

log = structlog.get_logger(__name__)

_OURS = "parley"
REDACTED = "[redacted]"
SECRET_KEYS = frozenset(
    {"authorization", "api_key", "password", "pcm", "prompt", "secret", "server_secret", "token"}
    | {"text", "transcript", "user_text", "reply_text", "heard_text", "wss_address"}
    # Names that applications choose, often those of people.
    | {"user_id", "room_id", "stream_id"}
)

_DOINGS_OF_PEERS = frozenset(("ExecuteBatchError", "UnicodeDecodeError"))
"""Exceptions within gRPC: an answer that nobody takes any more, and text that is no UTF-8."""


def _redact(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    for key in SECRET_KEYS & event.keys():
        event[key] = REDACTED
    return event


def _plain(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Log members of enumerations by their values."""
    return {name: each.value if isinstance(each, Enum) else each for name, each in event.items()}


def _escape(text: str) -> str:
    """Return a text that neither moves a terminal's cursor nor looks like other lines."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def _escape_lines(text: str) -> str:
    return "\n".join(map(_escape, text.split("\n")))


def _visible(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Escape what is not visible: much that is logged was chosen by clients."""
    # A traceback has lines, and so may have what it quotes.
    return {
        name: _escape_lines(each) if name == "exception" else _visible_value(each)
        for name, each in event.items()
    }


def _visible_value(value: Any) -> Any:
    match value:
        case None | bool() | int() | float():
            return value
        case list() | tuple():
            return [_visible_value(each) for each in value]
        case dict():
            return {_escape(str(name)): _visible_value(each) for name, each in value.items()}
        case _:
            return _escape(str(value))


class _Formatter(logging.Formatter):
    """Our lines as they are, which are rendered already, and those of libraries made visible."""

    def format(self, record: logging.LogRecord) -> str:
        if record.name == _OURS:
            return record.getMessage()
        return _escape_lines(super().format(record))


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a line of gRPC is about more than a peer that sent garbage, or left in the middle."""
    kind = record.exc_info[0] if record.exc_info else None
    return kind is None or kind.__name__ not in _DOINGS_OF_PEERS


def configure_logs(process: str, settings: ProcessSettings | None = None) -> None:
    """Set up the logs of a process: readable lines, or JSON for a collector.

    Nobody who logs waits for whoever reads the log.
    """
    settings = settings or ProcessSettings()
    ours = _logger(process)
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
            _visible,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level),
        logger_factory=lambda *_: ours,
        cache_logger_on_first_use=True,
    )
    logging.getLogger("grpc._cython.cygrpc").addFilter(_is_news)
    structlog.contextvars.bind_contextvars(process=process)


def _logger(process: str) -> logging.Logger:
    """Have libraries log from warnings on, and return the logger of our own lines."""
    lines = LogQueue()
    lines.setFormatter(_Formatter("%(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[lines])
    ours = logging.getLogger(_OURS)
    # Lines below the level of the settings are not even rendered.
    ours.setLevel(logging.DEBUG)
    ours.propagate = False
    ours.handlers[:] = [lines]
    write_log(
        lines,
        # The thread that reports knows no process.
        report_dropped=lambda count: log.warning("log lines dropped", count=count, process=process),
    )
    return ours
