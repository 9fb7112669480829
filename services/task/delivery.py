"""Sets up webhooks: what delivers events to them, and what answers calls about them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network

from services.runtime.network.public_network import PublicNetwork
from services.runtime.security.vault import Vault
from services.runtime.settings.values import split_list
from services.task.domain.tasks import Clock
from services.task.jobs import Jobs
from services.task.patience import patient
from services.task.ports.replicas import Replica
from services.task.ports.storage import Storage
from services.task.settings import TaskSettings
from services.task.webhooks.courier import courier_to
from services.task.webhooks.deliverer import Deliverer
from services.task.webhooks.ports import NEWS
from services.task.webhooks.servicer import WebhookServicer


@asynccontextmanager
async def delivery(
    settings: TaskSettings, storage: Storage, clock: Clock, replica: Replica
) -> AsyncIterator[WebhookServicer]:
    """Deliver events to webhooks while the block is open."""
    network = PublicNetwork([ip_network(each) for each in split_list(settings.webhook_networks)])
    vault = Vault(split_list(settings.encryption_keys.get_secret_value()))
    async with courier_to(network, vault, clock) as courier, Jobs() as jobs:
        deliverer = Deliverer(
            replica_id=replica.replica_id,
            # What it calls may be repeated; what callers ask for, such as another key, may not.
            store=patient(storage.webhooks),
            courier=courier,
            jobs=jobs,
        )
        with storage.notifier.watching(NEWS) as watch:
            jobs.begin(deliverer.run(watch.wait), name="webhooks")
            yield WebhookServicer(
                store=storage.webhooks,
                courier=courier,
                network=network,
                vault=vault,
                clock=clock,
            )
