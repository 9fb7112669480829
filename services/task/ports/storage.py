"""One backend: the journal, and what else is kept where it is."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from services.task.domain.audit import AuditLog
from services.task.domain.credentials import Credentials
from services.task.ports.journal import Journal
from services.task.ports.logs import Notifier
from services.task.webhooks.ports import WebhookStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """One backend, and the notifier that it wakes. `probe` raises ServiceError when it is away."""

    journal: Journal
    webhooks: WebhookStore
    audit: AuditLog
    notifier: Notifier
    credentials: Credentials
    probe: Callable[[], Awaitable[None]]
