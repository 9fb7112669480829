"""From the settings to an avatar service that serves."""

from services.avatar.app import running
from services.avatar.settings import AvatarSettings
from services.runtime.process import until_stopped
from services.runtime.settings.environment import load
from services.runtime.telemetry.logs import configure_logs


async def serve() -> None:
    """Serve until a signal arrives."""
    settings = load(AvatarSettings)
    configure_logs("avatar", settings)
    async with running(settings):
        await until_stopped()
