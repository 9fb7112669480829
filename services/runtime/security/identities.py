"""Who the processes are to each other, and which of them may call what.

With TLS a process is who its certificate says: a DNS name among the subject's alternative names. It
stands for the service and for no host, so that replicas may come and go at any address.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum

DOMAIN = "parley.internal"


class Identity(StrEnum):
    """A service of ours, or the operator, who may call everything."""

    GATEWAY = "gateway"
    SPEECH = "speech"
    TASK = "task"
    AVATAR = "avatar"
    OPERATOR = "operator"

    @property
    def dns_name(self) -> str:
        """The name in its certificate."""
        return f"{self.value}.{DOMAIN}"


_ACCESS = "digitalhuman.access.v1.AccessService"
_TASK = "digitalhuman.task.v1.TaskService"
_SPEECH = "digitalhuman.speech.v1.SpeechService"
_WEBHOOKS = "digitalhuman.webhooks.v1.WebhookService"
_AUDIT = "digitalhuman.audit.v1.AuditService"
_AVATAR = "digitalhuman.avatar.v1.AvatarService"

CALLS: Mapping[Identity, Mapping[str, tuple[str, ...]]] = {
    Identity.GATEWAY: {
        _ACCESS: (
            "Authenticate",
            "BindTicket",
            "CreateApiKey",
            "CreateTicket",
            "ListApiKeys",
            "RedeemTicket",
            "RevokeApiKey",
            "RevokeTicket",
        ),
        _TASK: (
            "AppendEvents",
            "ClaimTask",
            "CreateTask",
            "DeleteConversation",
            "EraseUser",
            "FindCreatedTask",
            "GetConversation",
            "GetTask",
            "GetTurn",
            "ListTasks",
            "ListUsage",
            "Reconcile",
            "RefreshTask",
            "StopTask",
            "UpdateTask",
            "WatchTask",
        ),
        _WEBHOOKS: (
            "AddWebhook",
            "ListDeadLetters",
            "ListWebhooks",
            "RemoveWebhook",
            "ReplayDeadLetters",
            "RotateWebhookKey",
            "TestWebhook",
        ),
        _AUDIT: ("ListAuditEntries", "NoteUserExport"),
        _SPEECH: ("Converse", "ListPersonas", "ListVoices", "Synthesize"),
        _AVATAR: ("CreateViewerToken", "HandleCallback", "ListDigitalHumans", "PerformAction"),
    },
    Identity.SPEECH: {
        _TASK: (
            "AppendEvents",
            "ClaimConversation",
            "GetConversation",
            "GetTask",
            "KeepReplica",
            "NoteClients",
            "ReleaseConversation",
            "StopTask",
        ),
        _AVATAR: ("Drive", "InterruptAvatar", "PerformAction"),
    },
    Identity.TASK: {_AVATAR: ("GetAvatar", "ListAvatars", "StartAvatar", "StopAvatar")},
    # One replica to another.
    Identity.AVATAR: {_AVATAR: ("HandleCallback", "InterruptAvatar", "YieldAvatar")},
}
"""The methods that each service calls, by the service that has them; nobody else may."""

_PATHS = {
    caller: frozenset(
        f"/{service}/{method}" for service, methods in calls.items() for method in methods
    )
    for caller, calls in CALLS.items()
}


def tls_variables(identity: Identity) -> tuple[str, str, str]:
    """Return the settings that name the files of certificate, key and authorities."""
    prefix = f"{identity.value.upper()}_TLS"
    return f"{prefix}_CERTIFICATE_FILE", f"{prefix}_KEY_FILE", f"{prefix}_AUTHORITIES_FILE"


def identities(dns_names: Iterable[str]) -> frozenset[Identity]:
    """Return who a certificate with these names stands for."""
    names = frozenset(dns_names)
    return frozenset(each for each in Identity if each.dns_name in names)


def may_call(caller: Identity, path: str) -> bool:
    """Whether an identity may call a method, of the path `/package.Service/Method`."""
    return caller is Identity.OPERATOR or path in _PATHS[caller]
