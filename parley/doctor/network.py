"""Which vendors are called, and through which proxies."""

from collections.abc import Iterator, Mapping

from parley.doctor.finding import judged
from parley.plan.environment import uses_engine
from services.runtime.check import Finding, Verdict
from services.runtime.network.proxies import (
    NO_PROXY,
    PROXY_VARIABLES,
    ProxyError,
    proxy_for,
    value_of,
)

MAINLAND_URL = "https://aigc-digitalhuman-api.zegotech.cn"
_STAGES = ("RECOGNIZER", "CHAT", "SYNTHESIZER")
_OPENAI_URL = "https://api.openai.com/v1"


def proxies(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Report which proxies are set, and for which calls; never their values with passwords."""
    seen = [name for name in PROXY_VARIABLES if value_of(name, environment)]
    if not seen:
        yield Finding(subject="proxy", verdict=Verdict.FINE, found="none")
        return
    called = vendors(environment)
    through, faults = [], []
    for subject, url in called.items():
        try:
            if proxy_for(url, environment):
                through.append(subject)
        except ProxyError as error:
            faults.append(f"{subject}: {error}")
    used = f"for {', '.join(through)}" if through else "for nothing that is called"
    exceptions = f", except as {NO_PROXY} says" if value_of(NO_PROXY, environment) else ""
    yield judged(
        "proxy",
        not faults,
        "; ".join(faults) or f"{', '.join(seen)} {used}{exceptions}; never between our processes",
        "Set it to http://host:port, or set NO_PROXY to the vendor's host.",
    )


def vendors(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the configured URLs outside our own processes, by their use."""
    found = {} if uses_engine(environment) else {"cloud": cloud_url(environment)}
    for stage in _STAGES:
        for name in (f"SPEECH_{stage}", f"SPEECH_{stage}_FALLBACK"):
            if environment.get(name) == "openai":
                found[name] = environment.get(f"{name}_BASE_URL") or _OPENAI_URL
    return found


def cloud_url(environment: Mapping[str, str]) -> str:
    """Return the address of the digital-human cloud."""
    return environment.get("AVATAR_CLOUD_URL") or MAINLAND_URL
