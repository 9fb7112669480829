"""The metrics that every service has."""

from prometheus_client import Counter, Histogram

RPCS = Counter(
    "parley_rpcs_total", "Calls that ended, by method and gRPC code.", ["method", "code"]
)
RPC_SECONDS = Histogram(
    "parley_rpc_seconds",
    "How long calls took, by method.",
    ["method"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
