"""Whether the databases that the settings name can be used."""

from collections.abc import Mapping

from parley.doctor.finding import judged
from parley.plan.database import (
    SETTINGS,
    DatabaseError,
    database_of,
    host_of,
    require_reachable,
)
from parley.plan.errors import PlanError
from services.runtime.check import Finding


async def examine_databases(environment: Mapping[str, str]) -> list[Finding]:
    """Report for each setting that names PostgreSQL whether it can be used."""
    found = []
    for name in SETTINGS:
        try:
            database = database_of(environment, name)
            if database is None:
                continue
            await require_reachable(database)
        except DatabaseError as error:
            found.append(judged("database", False, f"{name}: {error}", f"{error.remedy} {name}."))
        except PlanError as error:
            found.append(judged("database", False, f"{name}: {error}", f"Correct {name}."))
        else:
            found.append(judged("database", True, f"{name}: {host_of(database)} answers", ""))
    return found
