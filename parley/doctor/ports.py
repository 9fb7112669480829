"""Who listens on the ports of the processes."""

import asyncio
from collections.abc import Mapping

from parley.doctor.finding import judged
from parley.plan.listeners import ENGINE, Listener, is_free
from parley.plan.processes import listeners
from parley.readiness import until_ready
from services.runtime.check import Finding, Verdict

_ANSWER_TIMEOUT_S = 5.0


async def ports(environment: Mapping[str, str]) -> list[Finding]:
    """Report for each port whether it is free or a healthy process has it; raises PlanError."""
    return await asyncio.gather(*(_port(each, environment) for each in listeners(environment)))


async def _port(listener: Listener, environment: Mapping[str, str]) -> Finding:
    port, host = listener.port(environment), listener.host(environment)
    subject = f"{listener.process} :{port}"
    setting = listener.setting(environment)
    if is_free(host, port):
        return Finding(subject=subject, verdict=Verdict.FINE, found="free, not running")
    if listener.process == "engine" and listener is not ENGINE:
        return Finding(subject=subject, verdict=Verdict.FINE, found="in use")
    try:
        async with asyncio.timeout(_ANSWER_TIMEOUT_S):
            await until_ready(listener, environment)
    except TimeoutError:
        return judged(
            subject,
            False,
            "in use, but not by a healthy Parley",
            f"See its log; or stop what listens there; or set {setting} to another port.",
        )
    return Finding(subject=subject, verdict=Verdict.FINE, found="running, healthy")
