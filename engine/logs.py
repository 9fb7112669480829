"""How the engine's processes log: like all of Parley's, without importing them."""

import logging
import sys
from enum import Enum

import structlog

from engine.log_writer import LogQueue, write_log
from engine.settings import EngineSettings

log = structlog.get_logger()

_OURS = "engine"


def _plain(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
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


def _visible(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Escape what is not visible: much that is logged was chosen by viewers and callers."""
    # A traceback has lines, and so may have what it quotes.
    escape = {"exception": _escape_lines}
    return {
        name: escape.get(name, _escape)(each) if isinstance(each, str) else each
        for name, each in event.items()
    }


class _Formatter(logging.Formatter):
    """Our lines as they are, which are rendered already, and those of libraries made visible."""

    def format(self, record: logging.LogRecord) -> str:
        if record.name == _OURS:
            return record.getMessage()
        return _escape_lines(super().format(record))


def configure_logs(settings: EngineSettings) -> None:
    """Log one event per line to stderr, readable or as JSON; libraries from warnings on.

    Nobody who logs waits for whoever reads the log.
    """
    ours = _logger()
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
            structlog.processors.format_exc_info,
            _plain,
            _visible,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level),
        logger_factory=lambda *_: ours,
    )
    structlog.contextvars.bind_contextvars(process="engine")


def _logger() -> logging.Logger:
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
        report_dropped=lambda count: log.warning(
            "log lines dropped", count=count, process="engine"
        ),
    )
    return ours
