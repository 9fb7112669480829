"""The PostgreSQL that several replicas share: which one, and whether it can be reached."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from parley.finding import Finding, judged
from parley.plan import FILE_SUFFIX, PlanError

SETTINGS = ("TASK_DATABASE", "AVATAR_DATABASE")
SCHEMES = ("postgresql://", "postgres://")
_CONNECT_TIMEOUT_S = 5.0


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
        raise PlanError(f"--database must be like {SCHEMES[0]}user:password@host:5432/name")
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
    """Raise PlanError, without any password, if the database cannot be used."""
    try:
        connection = await asyncpg.connect(
            database, timeout=_CONNECT_TIMEOUT_S, statement_cache_size=0
        )
        await connection.close(timeout=_CONNECT_TIMEOUT_S)
    except asyncpg.InvalidAuthorizationSpecificationError:
        why = "refuses this user or password"
    except asyncpg.InvalidCatalogNameError:
        why = "has no database of this name"
    except asyncpg.PostgresError as error:
        why = f"refuses connections ({type(error).__name__})"
    except TimeoutError:
        why = f"has not answered within {_CONNECT_TIMEOUT_S:.0f} s"
    except OSError:
        why = "cannot be reached"
    except (asyncpg.InterfaceError, ValueError):
        why = "cannot be told from this address: it must be like "
        raise PlanError(f"PostgreSQL {why}{SCHEMES[0]}user:password@host:5432/name") from None
    else:
        return
    raise PlanError(f"PostgreSQL at {_host(database)} {why}") from None


async def examine_databases(environment: Mapping[str, str]) -> list[Finding]:
    """Report for each setting that names PostgreSQL whether it can be used."""
    found = []
    for name in SETTINGS:
        try:
            database = database_of(environment, name)
            if database is None:
                continue
            await require_reachable(database)
        except PlanError as error:
            remedy = f"Start it, or correct {name}."
            found.append(judged("database", False, f"{name}: {error}", remedy))
        else:
            found.append(judged("database", True, f"{name}: {_host(database)} answers", ""))
    return found


def _host(database: str) -> str:
    """Return what is known of the host, and never the user or password."""
    try:
        parts = urlsplit(database)
        return f"{parts.hostname}:{parts.port or 5432}" if parts.hostname else "its local socket"
    except ValueError:
        return "its address"
