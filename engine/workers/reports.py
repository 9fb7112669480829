"""What passes between the front and a worker: settings once, then reports of the worker."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, SecretStr, TypeAdapter

from engine.serving.certificate import Identity
from engine.settings import EngineSettings
from engine.tasks.callbacks import EventType, Notice

LOOPBACK = "127.0.0.1"
MAX_LINE_BYTES = 64 * 1024


class Ready(BaseModel):
    """The worker serves; first and once."""

    kind: Literal["ready"] = "ready"
    port: int
    drive_port: int


class Told(BaseModel):
    """Something happened to a task; told in the order in which it happened."""

    kind: Literal["told"] = "told"
    event_type: EventType
    task_id: str
    event_time_ms: int
    detail: Mapping[str, Any]
    is_last: bool

    @classmethod
    def of(cls, notice: Notice) -> "Told":
        """A notice on its way to the front."""
        return cls.model_validate(asdict(notice))

    @property
    def notice(self) -> Notice:
        """The notice that the worker sent."""
        return Notice(
            event_type=self.event_type,
            task_id=self.task_id,
            event_time_ms=self.event_time_ms,
            detail=self.detail,
            is_last=self.is_last,
        )


class Health(BaseModel):
    """The figures of the worker; also the sign that it lives."""

    kind: Literal["health"] = "health"
    figures: Mapping[str, Any]


Report = Annotated[Ready | Told | Health, Field(discriminator="kind")]
_REPORT: TypeAdapter[Ready | Told | Health] = TypeAdapter(Report)


def read_report(line: bytes) -> Ready | Told | Health:
    """One report; raises `ValueError` for anything else."""
    return _REPORT.validate_json(line)


def write_line(report: Ready | Told | Health) -> bytes:
    """A report as one line."""
    return report.model_dump_json().encode() + b"\n"


def write_settings(settings: EngineSettings, identity: Identity) -> bytes:
    """All that a worker needs as one line, secrets in the clear: for the socket to it only."""
    values = {
        name: value.get_secret_value() if isinstance(value, SecretStr) else value
        for name, value in settings
    }
    told = {"settings": values, "identity": asdict(identity)}
    return json.dumps(told, default=str).encode() + b"\n"


def read_settings_line(line: bytes) -> tuple[EngineSettings, Identity]:
    """What the front wrote."""
    told = json.loads(line)
    return EngineSettings(**told["settings"]), Identity(**told["identity"])
