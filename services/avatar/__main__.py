"""`python -m services.avatar`: the avatar service as a process."""

from functools import partial

from services.avatar.app import running
from services.avatar.postgres.database import DatabaseError
from services.avatar.settings import AvatarSettings
from services.runtime.check import settings_checked
from services.runtime.process import run, until_stopped
from services.runtime.settings.environment import load
from services.runtime.telemetry.logs import configure_logs


async def main() -> None:
    """Serve until a signal arrives."""
    settings = load(AvatarSettings)
    configure_logs("avatar", settings)
    async with running(settings):
        await until_stopped()


if __name__ == "__main__":
    run("avatar", main, failures=(DatabaseError,), check=partial(settings_checked, AvatarSettings))
