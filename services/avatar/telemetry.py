"""The metrics of the avatar service."""

from prometheus_client import Counter, Gauge, Histogram

CLOUD_CALLS = Counter(
    "parley_cloud_calls_total",
    "Attempts to call the cloud, by action and return code (`lost` without one).",
    ["action", "code"],
)
CLOUD_CALL_SECONDS = Histogram(
    "parley_cloud_call_seconds",
    "How long attempts to call the cloud took, by action.",
    ["action"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4),
)
CLOUD_WAIT_SECONDS = Histogram(
    "parley_avatar_cloud_wait_seconds",
    "How long calls of the cloud waited for their turn under its rate limit, by action.",
    ["action"],
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 16),
)
DRIVES = Counter(
    "parley_drives_total",
    "Drives that ended, by outcome: finished, interrupted, or the reason of the failure.",
    ["outcome"],
)
REPLICAS = Gauge(
    "parley_avatar_replicas",
    "Replicas of the avatar service that share a database; 0 while it is away, or without one.",
)
