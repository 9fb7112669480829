"""From the settings to a task service that serves."""

from digitalhuman.avatar.v1.avatar_pb2_grpc import AvatarServiceStub
from services.runtime.channels.replicas import replicas
from services.runtime.process import until_stopped
from services.runtime.security.identities import Identity
from services.runtime.settings.environment import load
from services.runtime.telemetry.logs import configure_logs
from services.task.app import running
from services.task.cloud import AvatarCloud
from services.task.settings import TaskSettings
from services.task.storage import OpenStorage, storage_of


async def serve(open_storage: OpenStorage = storage_of) -> None:
    """Serve until a signal arrives."""
    settings = load(TaskSettings)
    configure_logs("task", settings)
    tls = settings.tls_to(Identity.AVATAR)
    async with replicas(settings.avatar_target, AvatarServiceStub, tls=tls) as avatars:
        cloud = AvatarCloud(avatars, settings.sent_token)
        async with running(settings, cloud, open_storage=open_storage):
            await until_stopped()
