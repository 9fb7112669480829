"""One thing that `parley doctor` examined, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How a finding is judged."""

    FINE = "fine"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was examined; `remedy` says how to fix it, if needed."""

    subject: str
    verdict: Verdict
    found: str
    remedy: str = ""


def judged(subject: str, is_fine: bool, found: str, remedy: str) -> Finding:
    """Return a finding that is either fine or a problem."""
    verdict = Verdict.FINE if is_fine else Verdict.PROBLEM
    return Finding(subject=subject, verdict=verdict, found=found, remedy="" if is_fine else remedy)
