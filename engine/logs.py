"""How the engine's processes log: like all of Parley's, without importing them."""

import logging
import sys
from enum import Enum

import structlog

from engine.settings import EngineSettings


def _plain(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Log members of enumerations by their values."""
    return {name: each.value if isinstance(each, Enum) else each for name, each in event.items()}


def configure_logs(settings: EngineSettings) -> None:
    """Log one event per line to stderr, readable or as JSON; libraries from warnings on."""
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
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s"
    )
    structlog.contextvars.bind_contextvars(process="engine")
