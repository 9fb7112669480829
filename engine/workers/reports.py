"""Messages between the front and a worker: settings once, then reports of the worker."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, Field, SecretStr, TypeAdapter

from engine.serving.certificate import Identity
from engine.settings import EngineSettings
from engine.tasks.callbacks import EventType, Notice

LOOPBACK = "127.0.0.1"
MAX_LINE_BYTES = 64 * 1024


class Ready(BaseModel):
    """The worker is serving; sent first and once."""

    kind: Literal["ready"] = "ready"
    port: int
    drive_port: int


class Refused(BaseModel):
    """The worker cannot serve, as the system refuses it something; sent instead of `Ready`."""

    kind: Literal["refused"] = "refused"
    reason: str


class Event(BaseModel):
    """Something happened to a task; sent in order."""

    kind: Literal["event"] = "event"
    event_type: EventType
    task_id: str
    event_time_ms: int
    detail: Mapping[str, Any]
    is_last: bool

    @classmethod
    def of(cls, notice: Notice) -> "Event":
        """Return a notice as a report to the front."""
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


class WorkerHealth(BaseModel):
    """The figures of the worker; also its heartbeat."""

    kind: Literal["health"] = "health"
    figures: Mapping[str, Any]


Report: TypeAlias = Ready | Refused | Event | WorkerHealth
_REPORT: TypeAdapter[Report] = TypeAdapter(Annotated[Report, Field(discriminator="kind")])


def read_report(line: bytes) -> Report:
    """Return a report; raises `ValueError` for anything else."""
    return _REPORT.validate_json(line)


def write_line(report: Report) -> bytes:
    """Return a report as one line."""
    return report.model_dump_json().encode() + b"\n"


def write_settings(settings: EngineSettings, identity: Identity) -> bytes:
    """Return all that a worker needs as one line, with plain secrets: only for its socket."""
    values = {
        name: value.get_secret_value() if isinstance(value, SecretStr) else value
        for name, value in settings
    }
    message = {"settings": values, "identity": asdict(identity)}
    return json.dumps(message, default=str).encode() + b"\n"


def read_settings_line(line: bytes) -> tuple[EngineSettings, Identity]:
    """Return what the front wrote."""
    message = json.loads(line)
    return EngineSettings(**message["settings"]), Identity(**message["identity"])
