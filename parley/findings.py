"""What is right and wrong with this machine, and how to fix it."""

import asyncio
import shutil
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx

from parley.database import examine_databases
from parley.finding import Finding, Verdict, judged
from parley.plan import ENGINE, Listener, PlanError, is_free, listeners, uses_engine
from parley.readiness import base_url, until_ready
from parley.surroundings import callbacks, cloud_url, proxies
from services.runtime.network.proxies import ProxyError, proxy_for
from services.runtime.network.transport import transport_to
from services.runtime.settings.environment import SettingsError, load
from services.speech.embedded.library import (
    LibrarySettings,
    choose_language_model,
    default_models,
    open_store,
    usable_memory,
)
from services.speech.embedded.store import FileState, ModelStore

_NEEDED_MEMORY = 2 * 10**9
_JOURNAL_SPACE = 200 * 10**6
# The cloud refuses requests whose timestamp is ten minutes off.
_SKEW_PROBLEM_S = 300.0
_SKEW_WARNING_S = 30.0
_ANSWER_TIMEOUT_S = 5.0


async def examine(environment: Mapping[str, str]) -> list[Finding]:
    """Examine everything; takes a few seconds at most."""
    found = [
        *_machine(),
        *_models(),
        *_settings(environment),
        *callbacks(environment),
        *proxies(environment),
        *await examine_databases(environment),
    ]
    try:
        answers = await asyncio.gather(
            *(_port(each, environment) for each in listeners(environment))
        )
    except PlanError as error:
        remedy = ".env.example says which values are allowed."
        return [*found, judged("ports", False, str(error), remedy)]
    return [*found, *answers, *await _cloud(environment)]


def _machine() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield judged("python", sys.version_info >= (3, 11), version, "Install Python 3.11 or newer.")
    memory = usable_memory()
    yield judged(
        "memory",
        memory >= _NEEDED_MEMORY,
        f"{memory / 1e9:.1f} GB",
        "The embedded models need 2 GB; use other providers, or a bigger machine.",
    )


def _models() -> Iterator[Finding]:
    try:
        settings = load(LibrarySettings)
    except SettingsError as error:
        yield judged("models", False, str(error), ".env.example says which values are allowed.")
        return
    store = open_store(settings)
    names = default_models(choose_language_model(settings))
    for name in names:
        yield _model(store, name)
    missing = store.plan(names).total_bytes - store.plan(names).present_bytes
    folder = _existing(settings.cache)
    free = shutil.disk_usage(folder).free
    yield judged(
        "disk",
        free >= missing + _JOURNAL_SPACE,
        f"{free / 1e9:.1f} GB free in {folder}",
        f"Free {(missing + _JOURNAL_SPACE) / 1e9:.1f} GB, or move PARLEY_CACHE elsewhere.",
    )


def _model(store: ModelStore, name: str) -> Finding:
    states = {file.name: store.state(file) for file in store.manifest[name].files}
    wrong = {file: state for file, state in states.items() if state is not FileState.VERIFIED}
    return judged(
        f"model {name}",
        not wrong,
        "verified" if not wrong else ", ".join(f"{file} {state}" for file, state in wrong.items()),
        f"Run: parley models pull {name}",
    )


def _existing(folder: Path) -> Path:
    return folder if folder.exists() else _existing(folder.parent)


def _settings(environment: Mapping[str, str]) -> Iterator[Finding]:
    if uses_engine(environment):
        account = "none: the engine stands in for the cloud"
    else:
        account = "set: the cloud's"
    yield Finding(subject="account", verdict=Verdict.FINE, found=account)
    is_open = not (environment.get("GATEWAY_API_KEYS") or environment.get("GATEWAY_API_KEYS_FILE"))
    yield Finding(subject="api keys", verdict=Verdict.FINE, found="none" if is_open else "set")


async def _port(listener: Listener, environment: Mapping[str, str]) -> Finding:
    port, host = listener.port(environment), listener.host(environment)
    subject = f"{listener.process} :{port}"
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
            f"See its log; or stop what listens there; or set {listener.variable} to another port.",
        )
    return Finding(subject=subject, verdict=Verdict.FINE, found="running, healthy")


async def _cloud(environment: Mapping[str, str]) -> list[Finding]:
    if uses_engine(environment):
        if is_free(ENGINE.host(environment), ENGINE.port(environment)):
            return []
        url = base_url(ENGINE, environment)
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
