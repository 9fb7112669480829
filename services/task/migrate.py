"""`python -m services.task.migrate`: brings the database up to date, and does nothing else.

The service does so itself when it starts. As a job before that, this may have rights on the
database that the service does not need.
"""

from services.runtime.process import run
from services.runtime.settings.environment import load
from services.runtime.telemetry.logs import configure_logs
from services.task.settings import DatabaseSettings
from services.task.storage import migrated


async def main() -> None:
    """Migrate the database that the settings name."""
    settings = load(DatabaseSettings)
    configure_logs("migrate", settings)
    await migrated(settings)


if __name__ == "__main__":
    run("migrate", main)
