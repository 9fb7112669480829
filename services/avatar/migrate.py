"""`python -m services.avatar.migrate`: bring the schema of AVATAR_DATABASE up to date, and end.

The service does that itself when it starts, if its role may create tables.
"""

import structlog

from services.avatar.postgres.database import migrated
from services.avatar.settings import DatabaseSettings
from services.runtime.process import run
from services.runtime.settings.environment import SettingsError, load
from services.runtime.telemetry.logs import configure_logs

log = structlog.get_logger(__name__)


async def main() -> None:
    """Take the steps that the schema lacks."""
    settings = load(DatabaseSettings)
    configure_logs("avatar", settings)
    if settings.database is None:
        raise SettingsError("AVATAR_DATABASE: must be set")
    steps = await migrated(settings.database.get_secret_value())
    log.info("schema up to date", steps=steps)


if __name__ == "__main__":
    run("avatar", main)
