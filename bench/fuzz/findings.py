"""What became of the inputs, and whatever of that must not happen."""

import re
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, field
from typing import Any

import grpc

from services.runtime.failures.errors import from_status
from services.runtime.failures.reasons import RULES, Reason

MOST_SHOWN = 20
"""How many violations of a level are kept; all are counted."""

INSIDES = re.compile(
    rb"Traceback|[a-z]Error\(|Exception:|\.py\b|0x[0-9a-f]{8}|pydantic\.|site-packages"
)
"""What no answer may hold: the insides of a program."""

_SHOWN_BYTES = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One input, by its number within its level, and what came of it."""

    level: str
    number: int
    what: str


@dataclass(slots=True)
class Findings:
    """The outcomes by level: statuses, codes and reasons."""

    outcomes: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    violations: list[Violation] = field(default_factory=list)
    violation_count: int = 0

    def note(self, level: str, outcome: object) -> None:
        """Count one input by what became of it."""
        self.outcomes[level][str(outcome)] += 1

    def violated(self, level: str, number: int, what: str) -> None:
        """Note an outcome that must not be."""
        self.violation_count += 1
        if sum(each.level == level for each in self.violations) < MOST_SHOWN:
            self.violations.append(Violation(level=level, number=number, what=what))

    def inputs(self, level: str) -> int:
        """How many inputs of a level were answered, or cut off."""
        return self.outcomes[level].total()

    def figures(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {
            "outcomes": {level: dict(seen.most_common()) for level, seen in self.outcomes.items()},
            "violation_count": self.violation_count,
            "violations": list(map(asdict, self.violations)),
        }

    def judge_http(
        self, level: str, number: int, status: int, body: bytes, *, reason: str | None
    ) -> None:
        """Note an answer over HTTP and the reason that it gives."""
        self.note(level, f"{status} {reason}" if reason else status)
        shown = repr(body[:_SHOWN_BYTES])
        if status >= 500 and not _is_catalogued(reason, status):
            self.violated(level, number, f"{status} without a catalogued reason: {shown}")
        if INSIDES.search(body):
            self.violated(level, number, f"{status} tells of the program's insides: {shown}")

    def judge_reason(self, level: str, number: int, reason: str, detail: object) -> None:
        """Note a failure by its reason alone."""
        self.note(level, reason)
        if reason not in Reason.__members__ or reason == Reason.INTERNAL:
            self.violated(level, number, f"{reason}: {str(detail)[:_SHOWN_BYTES]}")

    def judge_code(self, level: str, number: int, code: int, text: str, status: Any = None) -> None:
        """Note how a call ended, by its gRPC code, and by the status that came with it."""
        error = from_status(status) if status is not None else None
        name = _CODES[code].name if code in _CODES else str(code)
        self.note(level, f"{name} {error.reason}" if error else name)
        if name in ("INTERNAL", "UNKNOWN") or name == str(code):
            self.violated(level, number, f"{name}: {text[:_SHOWN_BYTES]}")
        if INSIDES.search(text.encode()):
            self.violated(level, number, f"{name} tells of the program's insides: {text}")


_CODES = {int(code.value[0]): code for code in grpc.StatusCode}


def _is_catalogued(reason: str | None, status: int) -> bool:
    if reason is None or reason not in Reason.__members__ or reason == Reason.INTERNAL:
        return False
    return RULES[Reason(reason)].http_status == status
