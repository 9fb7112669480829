"""`python -m services.task`: the task service as a process."""

from functools import partial

from digitalhuman.avatar.v1.avatar_pb2_grpc import AvatarServiceStub
from services.runtime.channels.replicas import replicas
from services.runtime.check import settings_checked
from services.runtime.process import run, until_stopped
from services.runtime.security.identities import Identity
from services.runtime.settings.environment import load
from services.runtime.telemetry.logs import configure_logs
from services.task.app import running
from services.task.cloud import AvatarCloud
from services.task.journal.database import DatabaseError
from services.task.settings import TaskSettings
from services.task.storage import OpenStorage, storage_of


async def main(open_storage: OpenStorage = storage_of) -> None:
    """Serve until a signal arrives."""
    settings = load(TaskSettings)
    configure_logs("task", settings)
    tls = settings.tls_to(Identity.AVATAR)
    async with replicas(settings.avatar_target, AvatarServiceStub, tls=tls) as avatars:
        cloud = AvatarCloud(avatars, settings.sent_token)
        async with running(settings, cloud, open_storage=open_storage):
            await until_stopped()


if __name__ == "__main__":
    run("task", main, check=partial(settings_checked, TaskSettings), failures=(DatabaseError,))
