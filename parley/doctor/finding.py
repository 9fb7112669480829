"""How `parley doctor` judges what it examines; a finding is what processes report of themselves."""

from services.runtime.check import Finding, Verdict


def judged(subject: str, is_fine: bool, found: str, remedy: str) -> Finding:
    """Return a finding that is either fine or a problem."""
    verdict = Verdict.FINE if is_fine else Verdict.PROBLEM
    return Finding(subject=subject, verdict=verdict, found=found, remedy="" if is_fine else remedy)
