"""What the processes say about their settings, before any of them is started."""

import asyncio
import json
from collections.abc import Mapping

from parley.plan.environment import complete
from parley.plan.errors import PlanError
from parley.plan.paths import VAR
from parley.plan.processes import processes
from parley.processes.running import Command, running
from parley.terminal.escaping import visible, visible_json
from services.runtime.check import CHECK_FLAG, Finding, Verdict

_CHECK_TIMEOUT_S = 120.0
_GRACE_S = 2.0


async def check_processes(environment: Mapping[str, str]) -> list[Finding]:
    """Have each process check its settings as it does at startup.

    What several of them find is reported once. If no plan can be made, nothing is found: that is
    reported with the ports.
    """
    try:
        planned = processes(complete(environment, folder=VAR))
    except PlanError:
        return []
    checks = (_check(each) for each in planned)
    found = [each for findings in await asyncio.gather(*checks) for each in findings]
    return list(dict.fromkeys(found))


async def _check(command: Command) -> list[Finding]:
    checking = Command(
        name=command.name,
        words=(*command.words, CHECK_FLAG),
        environment=command.environment,
    )
    told: list[Finding] = []
    other: list[str] = []

    def on_line(_: str, line: str) -> None:
        finding = _finding(line)
        if finding is None:
            other.append(line)
        else:
            told.append(finding)

    try:
        async with (
            asyncio.timeout(_CHECK_TIMEOUT_S),
            running(checking, on_line=on_line, grace_s=_GRACE_S) as process,
        ):
            exit_code = await process.wait()
    except TimeoutError:
        return [*told, _unchecked(command, "it does not finish")]
    if exit_code:
        told.append(_unchecked(command, visible(other[-1]) if other else f"exit code {exit_code}"))
    return told


def _finding(line: str) -> Finding | None:
    try:
        told = visible_json(json.loads(line))
        return Finding(**{**told, "verdict": Verdict(told["verdict"])})
    except (ValueError, TypeError, KeyError):
        return None


def _unchecked(command: Command, why: str) -> Finding:
    return Finding(
        subject=command.name,
        verdict=Verdict.PROBLEM,
        found=f"its settings cannot be checked: {why}",
        remedy="See what it reports when started: " + " ".join(command.words[1:]),
    )
