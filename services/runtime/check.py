"""What a process does for `--check`: report what is wrong with its settings, without serving."""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TypeAlias

from services.runtime.settings.environment import ProcessSettings, SettingsError, load

CHECK_FLAG = "--check"


class Verdict(StrEnum):
    """How a finding is judged."""

    FINE = "fine"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was examined, described for an operator."""

    subject: str
    verdict: Verdict
    found: str
    remedy: str = ""


Check: TypeAlias = Callable[[], Awaitable[Sequence[Finding]]]


async def tell(check: Check) -> None:
    """Print the findings of a check, one JSON object per line."""
    try:
        found = await check()
    except SettingsError as error:
        found = settings_problems(error)
    for each in found:
        print(json.dumps(asdict(each), ensure_ascii=False))


async def settings_checked(settings_type: type[ProcessSettings]) -> Sequence[Finding]:
    """Read the settings and find nothing else to report; raises SettingsError."""
    load(settings_type)
    return ()


def settings_problems(error: SettingsError) -> list[Finding]:
    """Return a finding for each invalid setting."""
    lines = [line.partition(": ") for line in str(error).splitlines()]
    return [
        Finding(
            subject=name if rule else "settings",
            verdict=Verdict.PROBLEM,
            found=rule or name,
            remedy=error.remedy,
        )
        for name, _, rule in lines
    ]
