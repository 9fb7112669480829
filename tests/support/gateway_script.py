"""What the services behind a gateway under test do, and what they were asked."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from digitalhuman.task.v1 import task_pb2
from services.runtime.failures.errors import ServiceError

SERVICE_TOKEN = "the-service-token"
LANGUAGES = ("en", "zh")
SAMPLE_QUESTIONS = {"en": "When do you open?", "zh": "你们几点开门？"}
REPLY = "We open at nine. We close at six."
SENTENCES = ("We open at nine.", " We close at six.")
FINAL_STATES = (task_pb2.TASK_STATE_STOPPED, task_pb2.TASK_STATE_FAILED)

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


@dataclass(slots=True)
class Script:
    """What the services do otherwise than usual."""

    errors: dict[str, ServiceError] = field(default_factory=dict)
    """By RPC name: fail so."""
    is_on_air_at_once: bool = True
    turn_failure: ServiceError | None = None
    turn_break: ServiceError | None = None
    """How the stream of a turn that has begun ends."""
    sent_on: int = 0
    """How many streams are accepted and then sent on, before anything that follows is taken."""
    unwritten: int = 0
    """How many streams are accepted and then end as gRPC ends one that it could not write to."""
    is_silent: bool = False
    """Whether input leads to no turn."""
    hold_reply: asyncio.Event | None = None
    """When set, a reply goes no further than its first words before the event."""

    def check(self, rpc: str) -> None:
        """Raise the error that is scripted for an RPC."""
        if rpc in self.errors:
            raise self.errors[rpc]


def now() -> Timestamp:
    moment = Timestamp()
    moment.GetCurrentTime()
    return moment
