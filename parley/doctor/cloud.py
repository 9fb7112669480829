"""Whether the digital-human cloud can be reached, and agrees with this machine on the time."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from parley.doctor.finding import judged
from parley.doctor.network import cloud_url
from parley.plan.environment import uses_engine
from parley.plan.listeners import ENGINE, is_free
from services.runtime.check import Finding, Verdict
from services.runtime.network.proxies import ProxyError, proxy_for
from services.runtime.network.transport import transport_to

# The cloud refuses requests whose timestamp is ten minutes off.
_SKEW_PROBLEM_S = 300.0
_SKEW_WARNING_S = 30.0
_ANSWER_TIMEOUT_S = 5.0


async def cloud(environment: Mapping[str, str]) -> list[Finding]:
    """Report whether the cloud answers, or the engine in its place where it runs."""
    if uses_engine(environment):
        if is_free(ENGINE.host(environment), ENGINE.port(environment)):
            return []
        url = ENGINE.url(environment)
        remedy = "See the engine's log."
    else:
        url = cloud_url(environment)
        remedy = "Check the network, its proxy and firewall, and AVATAR_CLOUD_URL."
    try:
        transport = transport_to(url, proxy=proxy_for(url, environment))
        async with httpx.AsyncClient(timeout=_ANSWER_TIMEOUT_S, transport=transport) as client:
            answer = await client.get(url)
    except (httpx.HTTPError, httpx.InvalidURL, ProxyError, ValueError, OSError) as error:
        return [judged("cloud", False, f"no answer from {url} ({type(error).__name__})", remedy)]
    return [judged("cloud", True, f"{url} answers", ""), _clock(answer.headers.get("Date"))]


def _clock(date: str | None) -> Finding:
    if date is None:
        return Finding(subject="clock", verdict=Verdict.WARNING, found="the cloud sends no time")
    skew_s = (datetime.now(UTC) - parsedate_to_datetime(date)).total_seconds()
    found = f"{skew_s:+.0f} s from the cloud's"
    remedy = "Set the clock, best by NTP: the cloud refuses requests that are minutes off."
    if abs(skew_s) >= _SKEW_PROBLEM_S:
        return judged("clock", False, found, remedy)
    verdict = Verdict.WARNING if abs(skew_s) >= _SKEW_WARNING_S else Verdict.FINE
    return Finding(
        subject="clock",
        verdict=verdict,
        found=found,
        remedy=remedy if verdict is Verdict.WARNING else "",
    )
