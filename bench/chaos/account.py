"""What the users of a run were told, which must be true in the end."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

UNANSWERED = "line: not answered in time"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedTurn:
    """A turn that a user was told to be over."""

    task_id: str
    turn_id: int
    reply: str
    heard: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenEvent:
    """An event that came over a line."""

    task_id: str
    sequence: int
    name: str
    turn_id: int


@dataclass(slots=True, kw_only=True)
class KnownTask:
    """A task that a user was given."""

    task_id: str
    stream_id: str
    ended_at: float | None = None
    """When a user was told that it is over, by the monotonic clock."""


@dataclass(slots=True, kw_only=True)
class Account:
    """All of it."""

    tasks: dict[str, KnownTask] = field(default_factory=dict)
    turns: list[ClosedTurn] = field(default_factory=list)
    events: list[SeenEvent] = field(default_factory=list)
    asked: dict[str, str] = field(default_factory=dict)
    """The task in which a text was asked, by its request id."""
    breaches: list[str] = field(default_factory=list)
    """What a user noticed itself: events that are missing or come twice."""
    answers: Counter[str] = field(default_factory=Counter)
    """Answers by call and reason."""
    given_up: list[str] = field(default_factory=list)
    outages_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """By call, how long those that are safe to repeat took from a failure to an answer."""

    @property
    def failures(self) -> dict[str, int]:
        """Calls without an answer or with a problem for one, and texts that nobody answered."""
        return {
            answer: count
            for answer, count in self.answers.items()
            if answer == UNANSWERED or not (answer.startswith("line: ") or answer.endswith(": ok"))
        }

    def close_turn(self, task_id: str, turn: dict[str, Any]) -> None:
        """Note a turn that is over, from an answer or an event."""
        self.turns.append(
            ClosedTurn(
                task_id=task_id, turn_id=turn["turnId"], reply=turn["reply"], heard=turn["heard"]
            )
        )
