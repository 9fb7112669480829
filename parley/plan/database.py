"""The PostgreSQL that several replicas share: which one, and whether it can be reached."""

import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from parley.plan.environment import FILE_SUFFIX
from parley.plan.errors import PlanError

if TYPE_CHECKING:
    import asyncpg

SETTINGS = ("TASK_DATABASE", "AVATAR_DATABASE")
SCHEMES = ("postgresql://", "postgres://")
EXAMPLE = f"{SCHEMES[0]}user:password@host:5432/name"
_CONNECT_TIMEOUT_S = 5.0
_FILES = frozenset({"sslrootcert", "sslcert", "sslkey", "sslcrl"})


class DatabaseError(PlanError):
    """A database that cannot be used; the remedy ends before the name of the setting."""

    def __init__(self, what: str, *, remedy: str) -> None:
        super().__init__(what)
        self.remedy = remedy


def database_of(environment: Mapping[str, str], name: str) -> str | None:
    """Return the address that a setting gives, if it is one of PostgreSQL; raises PlanError."""
    given = environment.get(name) or ""
    if not given and (file := environment.get(f"{name}{FILE_SUFFIX}")):
        try:
            given = Path(file).read_text(encoding="utf-8-sig").strip()
        except (OSError, UnicodeDecodeError):
            raise PlanError(f"{name}{FILE_SUFFIX}: cannot read the file that it names") from None
    return given if given.startswith(SCHEMES) else None


def with_database(
    environment: Mapping[str, str], given: str | None, *, replicas: int
) -> dict[str, str]:
    """Return an environment in which all services share a database if one is given.

    Several replicas need one, if not given then the task service's; raises PlanError otherwise.
    """
    if given is not None and not given.startswith(SCHEMES):
        raise PlanError(f"--database must be like {EXAMPLE}")
    database = given
    if database is None and replicas > 1:
        database = database_of(environment, "TASK_DATABASE")
        if database is None:
            raise PlanError(
                f"--replicas {replicas} needs --database {SCHEMES[0]}…: "
                "a SQLite journal belongs to one task service"
            )
    if database is None:
        return dict(environment)
    return {**environment, **dict.fromkeys(SETTINGS, database)}


async def require_reachable(database: str) -> None:
    """Raise DatabaseError, without any password, if the database cannot be used."""
    # Most commands need no database.
    import asyncpg

    _check_address(database)
    try:
        connection = await asyncpg.connect(
            database, timeout=_CONNECT_TIMEOUT_S, statement_cache_size=0
        )
        await connection.close(timeout=_CONNECT_TIMEOUT_S)
    except (asyncpg.InterfaceError, ValueError):
        raise _bad_address(f"it must be like {EXAMPLE}") from None
    except (asyncpg.PostgresError, OSError) as error:
        why, remedy = _explain(error)
        raise DatabaseError(f"PostgreSQL at {host_of(database)} {why}", remedy=remedy) from None


def _check_address(database: str) -> None:
    """Raise DatabaseError for mistakes that would look like a server that is away."""
    try:
        parts = urlsplit(database)
    except ValueError:
        raise _bad_address(f"it must be like {EXAMPLE}") from None
    if "@" in parts.netloc.partition("@")[2] + parts.path + parts.fragment:
        raise _bad_address("@, /, ? and # in a password are written %40, %2F, %3F and %23")
    for name, file in parse_qsl(parts.query):
        if name in _FILES and not Path(file).is_file():
            raise _bad_address(f"there is no file that {name} names")


def _bad_address(why: str) -> DatabaseError:
    return DatabaseError(
        f"PostgreSQL cannot be found at this address: {why}", remedy="Correct the address in"
    )


def _explain(error: "asyncpg.PostgresError | OSError") -> tuple[str, str]:
    """Return what went wrong at the server, and what to do; the setting's name follows it."""
    import asyncpg

    match error:
        case asyncpg.InvalidAuthorizationSpecificationError():
            return "refuses this user or password", "Correct the user or password in"
        case asyncpg.InvalidCatalogNameError():
            return "has no database of this name", "Create it, or correct the name in"
        case (
            asyncpg.UndefinedObjectError()
            | asyncpg.InvalidParameterValueError()
            | asyncpg.CantChangeRuntimeParamError()
        ):
            return "refuses a setting after ? in the address", "Correct what follows ? in"
        case asyncpg.PostgresError():
            return f"refuses connections ({type(error).__name__})", "See its log, or correct"
        case TimeoutError():
            why = f"has not answered within {_CONNECT_TIMEOUT_S:.0f} s"
            return why, "Start it, or correct"
        case socket.gaierror():
            return "cannot be found: no host has this name", "Correct the host in"
    # Of a server without TLS, asyncpg says ConnectionError itself; what the network says is
    # one of its subclasses.
    if isinstance(error, ssl.SSLError) or type(error) is ConnectionError:
        why = "offers no TLS, or none that the sslmode and certificates of the address accept"
        return why, "Have it offer TLS, or correct sslmode and certificates in"
    return "cannot be reached", "Start it, or correct"


def host_of(database: str) -> str:
    """Return what is known of the host, and never the user or password."""
    try:
        parts = urlsplit(database)
        return f"{parts.hostname}:{parts.port or 5432}" if parts.hostname else "its local socket"
    except ValueError:
        return "its address"
