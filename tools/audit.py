"""Looks for known vulnerabilities in locked packages, of Python by pip-audit and of npm by itself.

It asks the OSV database, or a mirror of it that OSV_URL names. Where that does not answer it says
so and succeeds, as a machine without a network must still be able to run all checks.
"""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx

ACCEPTED = Path(__file__).parents[1] / "deploy" / "accepted-vulnerabilities.toml"
OSV_URL = "https://api.osv.dev/v1/query"
ANSWER_S = 15.0
AUDIT_S = 600.0
NPM_LOCK = "package-lock.json"
MAX_QUERIES = 1_000
"""Of a batch, as OSV has it."""

Pin = tuple[str, str]
"""A package's name and version."""


class AuditError(Exception):
    """The packages could not be audited, though the database answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A vulnerability that does not fail the audit before a day."""

    id: str
    package: str
    reason: str
    until: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A vulnerability of a locked package, by all the names that it goes by."""

    package: str
    version: str
    ids: frozenset[str]
    fixed_in: tuple[str, ...]

    def __str__(self) -> str:
        remedy = f"fixed in {', '.join(self.fixed_in)}" if self.fixed_in else "no fix yet"
        return f"{self.package} {self.version}: {', '.join(sorted(self.ids))} ({remedy})"

    def is_accepted(self, accepted: Sequence[Accepted], today: date) -> bool:
        """Whether the list has it, and still holds."""
        return any(
            each.id in self.ids and each.package == self.package and today < each.until
            for each in accepted
        )


def accepted_in(file: Path) -> list[Accepted]:
    """Return the entries of a list of accepted vulnerabilities; raises TypeError, OSError."""
    entries = tomllib.loads(file.read_text(encoding="utf-8")).get("accepted", [])
    return [Accepted(**each) for each in entries]


def is_reachable(url: str) -> bool:
    """Whether the database answers."""
    query = {"package": {"name": "pip", "ecosystem": "PyPI"}, "version": "26.3"}
    try:
        return httpx.post(url, json=query, timeout=ANSWER_S).is_success
    except httpx.HTTPError:
        return False


def audited(locks: Sequence[Path], url: str) -> list[Found]:
    """Return what is known of the packages of lock files of either kind; raises AuditError."""
    npm = [each for each in locks if each.name == NPM_LOCK]
    python = [each for each in locks if each.name != NPM_LOCK]
    return (_audited_python(python, url) if python else []) + _audited_npm(npm, url)


def _audited_python(locks: Sequence[Path], url: str) -> list[Found]:
    command = [sys.executable, "-m", "pip_audit"]
    command += [word for lock in locks for word in ("--requirement", str(lock))]
    command += ["--disable-pip", "--require-hashes", "--progress-spinner", "off"]
    command += ["--vulnerability-service", "osv", "--osv-url", url, "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=AUDIT_S)
    try:
        report = json.loads(done.stdout)
    except ValueError:
        raise AuditError(done.stderr) from None
    return list(_found(report["dependencies"]))


def _found(dependencies: Sequence[dict[str, object]]) -> Iterator[Found]:
    for each in dependencies:
        if "skip_reason" in each:
            raise AuditError(str(each["skip_reason"]))
        vulnerabilities = each["vulns"]
        assert isinstance(vulnerabilities, list)
        for known in vulnerabilities:
            yield Found(
                package=str(each["name"]),
                version=str(each["version"]),
                ids=frozenset([known["id"], *known["aliases"]]),
                fixed_in=tuple(known["fix_versions"]),
            )


def _audited_npm(locks: Sequence[Path], url: str) -> list[Found]:
    pins = sorted({pin for lock in locks for pin in _npm_pins(lock)})
    with httpx.Client(timeout=ANSWER_S) as client:
        try:
            return [
                Found(
                    package=name,
                    version=version,
                    ids=frozenset([known["id"], *known.get("aliases", ())]),
                    fixed_in=tuple(_npm_fixes(known, name)),
                )
                for name, version in _hits(client, url, pins)
                for known in _all_known(client, url, _query((name, version)))
            ]
        except (httpx.HTTPError, ValueError, KeyError) as error:
            raise AuditError(f"{url}: {error}") from None


def _hits(client: httpx.Client, url: str, pins: Sequence[Pin]) -> Iterator[Pin]:
    """Yield those of which the database knows anything: a batch tells no more."""
    for at in range(0, len(pins), MAX_QUERIES):
        batch = pins[at : at + MAX_QUERIES]
        queries = {"queries": [_query(pin) for pin in batch]}
        results = client.post(f"{url}batch", json=queries).raise_for_status().json()["results"]
        yield from (pin for pin, known in zip(batch, results, strict=True) if known)


def _all_known(client: httpx.Client, url: str, query: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the vulnerabilities of all pages."""
    asked: dict[str, Any] | None = query
    while asked:
        page = client.post(url, json=asked).raise_for_status().json()
        yield from page.get("vulns", ())
        token = page.get("next_page_token")
        asked = {**query, "page_token": token} if token else None


def _query(pin: Pin) -> dict[str, Any]:
    name, version = pin
    return {"package": {"name": name, "ecosystem": "npm"}, "version": version}


def _npm_pins(lock: Path) -> Iterator[Pin]:
    """Yield name and version of what a lock file installs; raises AuditError."""
    try:
        packages = json.loads(lock.read_text(encoding="utf-8"))["packages"]
    except (ValueError, KeyError):
        raise AuditError(f"{lock} is no lock file of npm's") from None
    for place, package in packages.items():
        folder, _, name = place.rpartition("node_modules/")
        # Others are packages of this repository.
        if (folder or place != name) and not package.get("link"):
            if "version" not in package:
                raise AuditError(f"{lock}: {place} has no version")
            yield package.get("name", name), package["version"]


def _npm_fixes(known: dict[str, Any], name: str) -> Iterator[str]:
    for affected in known.get("affected", ()):
        if affected["package"]["name"] == name:
            for changes in affected.get("ranges", ()):
                yield from (each["fixed"] for each in changes["events"] if "fixed" in each)


def main(locks: Sequence[Path], url: str, accepted: Sequence[Accepted]) -> int:
    """Audit and report; return the exit code, 1 for what is not accepted or cannot be audited."""
    try:
        found = audited(locks, url) if is_reachable(url) else None
    except AuditError as error:
        if is_reachable(url):
            print(f"NOT AUDITED: {error}")
            return 1
        found = None
    if found is None:
        print(f"NOT AUDITED: {url} does not answer, known vulnerabilities may go unnoticed")
        return 0
    today = datetime.now(UTC).date()
    refused = [each for each in found if not each.is_accepted(accepted, today)]
    for each in refused:
        print(f"VULNERABLE {each}")
    print(f"{len(found)} known vulnerabilities, {len(found) - len(refused)} of them accepted")
    return int(bool(refused))


if __name__ == "__main__":
    sys.exit(
        main(
            [Path(each) for each in sys.argv[1:]],
            os.environ.get("OSV_URL", OSV_URL),
            accepted_in(ACCEPTED),
        )
    )
