"""The audit of locked packages, by the real scanners, against a small database of our own."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tools.audit import ACCEPTED, Accepted, accepted_in, main

KNOWN = {
    "id": "GHSA-aaaa-bbbb-cccc",
    "aliases": ["CVE-2026-1"],
    "summary": "It can be made to hang.",
    "affected": [
        {
            "package": {"name": "jinja2", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "9.9"}]}],
        },
        {
            "package": {"name": "@scope/left-pad", "ecosystem": "npm"},
            "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "2.0.0"}]}],
        },
    ],
}
FUTURE, PAST = date(9999, 1, 1), date(2020, 1, 1)


@contextmanager
def database(
    vulnerable: str,
    *,
    status: int = 200,
    batch_status: int = 200,
    asked: list[dict[str, Any]] | None = None,
) -> Iterator[str]:
    """An OSV database that knows one vulnerability, of one package; `asked` gets the queries.

    A batch is told the id alone, and of one query the vulnerability is on the second page.
    """

    def answer_to(query: dict[str, Any]) -> dict[str, Any]:
        if "queries" in query:
            told = {"vulns": [{"id": KNOWN["id"]}]}
            return {"results": [told if answer_to(each) else {} for each in query["queries"]]}
        if query["package"]["name"] != vulnerable:
            return {}
        is_first = query["package"]["ecosystem"] == "npm" and "page_token" not in query
        return {"next_page_token": "2"} if is_first else {"vulns": [KNOWN]}

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if asked is not None:
                asked.append(query)
            is_batch = "queries" in query
            assert self.path == ("/v1/querybatch" if is_batch else "/v1/query")
            self.send_response(batch_status if is_batch else status)
            self.end_headers()
            self.wfile.write(json.dumps(answer_to(query)).encode())

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1/query"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    file = tmp_path / "requirements.lock"
    pins = ("jinja2==3.1.6", "pyee==13.0.1 ; python_version < '3'", "pyee==16.0.1")
    file.write_text("".join(f"{pin} \\\n    --hash=sha256:{'0' * 64}\n" for pin in pins))
    return file


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an earlier answer left behind is not asked for."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def accepted(until: date, package: str = "jinja2") -> list[Accepted]:
    return [Accepted(id="CVE-2026-1", package=package, reason="not called", until=until)]


@pytest.mark.parametrize(
    ("known", "code"),
    [
        ([], 1),
        (accepted(FUTURE), 0),
        (accepted(PAST), 1),
        (accepted(FUTURE, package="pyee"), 1),
    ],
    ids=["unknown", "accepted", "no longer accepted", "accepted of another"],
)
def test_what_is_not_accepted_fails(
    lock: Path, capsys: pytest.CaptureFixture[str], known: list[Accepted], code: int
) -> None:
    with database("jinja2") as url:
        assert main([lock], url, known) == code
    said = capsys.readouterr().out
    assert ("VULNERABLE jinja2 3.1.6: CVE-2026-1, GHSA-aaaa-bbbb-cccc (fixed in 9.9)" in said) == (
        code == 1
    )
    assert f"1 known vulnerabilities, {1 - code} of them accepted" in said


@pytest.fixture
def npm_lock(tmp_path: Path) -> Path:
    file = tmp_path / "package-lock.json"
    packages = {
        "": {"name": "page"},
        "js": {"name": "@parley/client", "version": "0.1.0"},
        "node_modules/@parley/client": {"resolved": "js", "link": True},
        "node_modules/a": {"version": "1.0.0"},
        "node_modules/a/node_modules/@scope/left-pad": {"version": "1.3.0"},
        "node_modules/alias": {"name": "real", "version": "3.0.0"},
    }
    file.write_text(json.dumps({"lockfileVersion": 3, "packages": packages}))
    return file


@pytest.mark.parametrize("known", [[], accepted(FUTURE, package="@scope/left-pad")])
def test_packages_of_npm_are_asked_about(
    npm_lock: Path, capsys: pytest.CaptureFixture[str], known: list[Accepted]
) -> None:
    asked: list[dict[str, Any]] = []
    with database("@scope/left-pad", asked=asked) as url:
        assert main([npm_lock], url, known) == (0 if known else 1)
    said = capsys.readouterr().out
    shown = "VULNERABLE @scope/left-pad 1.3.0: CVE-2026-1, GHSA-aaaa-bbbb-cccc (fixed in 2.0.0)"
    assert (shown in said) == (not known)
    # Whether the database answers, all at once, and two pages of what is known.
    _, batch, *pages = asked
    assert {each["package"]["name"] for each in pages} == {"@scope/left-pad"}
    assert [each.get("page_token") for each in pages] == [None, "2"]
    assert sorted((each["package"]["name"], each["version"]) for each in batch["queries"]) == [
        ("@scope/left-pad", "1.3.0"),
        ("a", "1.0.0"),
        ("real", "3.0.0"),
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{}", "is no lock file"),
        ('{"packages": {"node_modules/a": {}}}', "node_modules/a has no version"),
    ],
)
def test_a_lock_of_npm_that_cannot_be_read_is_no_success(
    npm_lock: Path, capsys: pytest.CaptureFixture[str], text: str, told: str
) -> None:
    npm_lock.write_text(text)
    with database("a") as url:
        assert main([npm_lock], url, []) == 1
    assert f"NOT AUDITED: {npm_lock}" in (said := capsys.readouterr().out)
    assert told in said


def test_a_database_that_answers_once_and_refuses_then_is_no_success(
    npm_lock: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with database("a", batch_status=429) as url:
        assert main([npm_lock], url, []) == 1
    assert "429" in capsys.readouterr().out


def test_packages_that_nothing_is_known_of_pass(lock: Path) -> None:
    with database("other") as url:
        assert main([lock], url, []) == 0


@pytest.mark.parametrize("is_there", [True, False], ids=["refusing", "away"])
def test_a_database_that_does_not_answer_is_told_of(
    lock: Path, capsys: pytest.CaptureFixture[str], is_there: bool
) -> None:
    with database("jinja2", status=403) as url:
        if is_there:
            assert main([lock], url, []) == 0
    if not is_there:
        assert main([lock], url, []) == 0
    assert capsys.readouterr().out.startswith("NOT AUDITED: ")


def test_a_lock_that_cannot_be_read_is_no_success(
    lock: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock.write_text("jinja2 is what we want\n")
    with database("jinja2") as url:
        assert main([lock], url, []) == 1
    assert capsys.readouterr().out.startswith("NOT AUDITED: ")


def test_the_list_can_be_read() -> None:
    assert all(each.reason for each in accepted_in(ACCEPTED))
