"""Starts the avatar service."""

import sys

from services.avatar.app import running
from services.avatar.settings import AvatarSettings
from services.runtime.logs import configure_logs
from services.runtime.serving import run, until_stopped
from services.runtime.settings import SettingsError, load


async def main() -> None:
    """Serve until told to stop."""
    try:
        settings = load(AvatarSettings)
    except SettingsError as error:
        sys.exit(f"avatar: the settings are wrong:\n{error}")
    configure_logs("avatar")
    async with running(settings):
        await until_stopped()


if __name__ == "__main__":
    run(main)
