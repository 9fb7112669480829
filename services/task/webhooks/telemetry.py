"""The metrics of webhooks."""

from enum import StrEnum

from prometheus_client import Counter


class AttemptOutcome(StrEnum):
    """What became of an attempt."""

    DELIVERED = "delivered"
    FAILED = "failed"
    GIVEN_UP = "given_up"


ATTEMPTS = Counter(
    "parley_webhook_attempts_total",
    "Attempts to tell a webhook of an event, by outcome: delivered, failed, or given up.",
    ["outcome"],
)

# A series that begins with its first count has no rate until the second.
for _outcome in AttemptOutcome:
    ATTEMPTS.labels(outcome=_outcome.value)
