"""`python -m services.task`: the task service as a process."""

from functools import partial

from services.runtime.channel import connected
from services.runtime.check import settings_checked
from services.runtime.logs import configure_logs
from services.runtime.process import run, until_stopped
from services.runtime.settings import load
from services.task.app import running
from services.task.cloud import AvatarCloud
from services.task.journal.database import DatabaseError
from services.task.settings import TaskSettings


async def main() -> None:
    """Serve until a signal arrives."""
    settings = load(TaskSettings)
    configure_logs("task", settings)
    token = settings.service_token
    async with connected(settings.avatar_target) as channel:
        cloud = AvatarCloud(channel, token.get_secret_value() if token else None)
        async with running(settings, cloud):
            await until_stopped()


if __name__ == "__main__":
    run("task", main, check=partial(settings_checked, TaskSettings), failures=(DatabaseError,))
