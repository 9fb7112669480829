"""Faults that a test switches on: what goes wrong, where, and how often."""

from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

from engine.contract.codes import Code
from engine.contract.parameters import ACTIONS


class Fault(BaseModel):
    """One fault; it applies to every action until removed, unless limited."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    action: str | None = Field(None, description="the only action that it applies to")
    count: int | None = Field(None, ge=1, le=1_000_000, description="how often it applies")

    @field_validator("action")
    @classmethod
    def _check_action(cls, action: str | None) -> str | None:
        if action is not None and action not in ACTIONS:
            raise ValueError("is not an action of the API")
        return action


class Refuse(Fault):
    """Answer any call with a code: busy, no resource, wrong signature, and so on."""

    kind: Literal["refuse"]
    code: int

    @field_validator("code")
    @classmethod
    def _check_code(cls, code: int) -> int:
        if code == Code.SUCCESS or code not in tuple(Code):
            raise ValueError("is not a return code of the API")
        return code


class Delay(Fault):
    """Answer late."""

    kind: Literal["delay"]
    seconds: float = Field(gt=0, le=60)


class HttpError(Fault):
    """Answer with HTTP 500."""

    kind: Literal["http_500"]


class InvalidJson(Fault):
    """Answer with a body that is not JSON."""

    kind: Literal["invalid_json"]


class ClockSkew(Fault):
    """Check timestamps against a skewed clock."""

    kind: Literal["clock_skew"]
    seconds: float = Field(ge=-86400, le=86400)


class SlowInit(Fault):
    """Have a new task take longer to initialise."""

    kind: Literal["slow_init"]
    seconds: float = Field(gt=0, le=600)


class InitFailure(Fault):
    """Have a new task fail to initialise."""

    kind: Literal["init_failure"]
    reason: str = Field(min_length=1, max_length=200)


class SocketDrop(Fault):
    """Cut a drive's socket without a closing handshake once it has received some audio."""

    kind: Literal["socket_drop"]
    after_ms: float = Field(ge=0, le=3_600_000)


class Stall(Fault):
    """Accept a drive's audio, but never play it."""

    kind: Literal["stall"]


class CallbackFault(Fault):
    """Lose a callback, send it twice, or send it after the next one of its task."""

    kind: Literal["callback_loss", "callback_duplicate", "callback_reorder"]


AnyFault = Annotated[
    Refuse
    | Delay
    | HttpError
    | InvalidJson
    | ClockSkew
    | SlowInit
    | InitFailure
    | SocketDrop
    | Stall
    | CallbackFault,
    Field(discriminator="kind"),
]
F = TypeVar("F", bound=Fault)


class FaultList(BaseModel):
    """The body of `/faults`."""

    model_config = ConfigDict(extra="forbid")

    faults: list[AnyFault] = Field(max_length=100)


@dataclass(slots=True)
class _Armed:
    fault: AnyFault
    left: int | None


class Faults:
    """The faults that are switched on."""

    def __init__(self) -> None:
        self._armed: list[_Armed] = []

    async def replace(self, faults: FaultList) -> None:
        """Switch on these faults and no others."""
        self._armed = [_Armed(fault, fault.count) for fault in faults.faults]

    def current(self) -> FaultList:
        """Return the faults that still apply; `count` is what is left."""
        return FaultList(
            faults=[armed.fault.model_copy(update={"count": armed.left}) for armed in self._armed]
        )

    def take(self, kind: type[F], action: str | None = None) -> F | None:
        """Return the first fault of a kind that applies to the action, and count it as used."""
        for armed in self._armed:
            fault = armed.fault
            if isinstance(fault, kind) and fault.action in (None, action):
                if armed.left is not None:
                    armed.left -= 1
                    if not armed.left:
                        self._armed.remove(armed)
                return fault
        return None
