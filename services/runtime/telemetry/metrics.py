"""The metrics that every service has, and the port at which a process shows its metrics."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import Counter, Histogram, start_http_server

RPCS = Counter(
    "parley_rpcs_total", "Calls that ended, by method and gRPC code.", ["method", "code"]
)
RPC_SECONDS = Histogram(
    "parley_rpc_seconds",
    "How long calls took, by method.",
    ["method"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)


@asynccontextmanager
async def metrics_served(host: str, port: int) -> AsyncIterator[None]:
    """Answer Prometheus while the block is open; not at all if `port` is 0."""
    if not port:
        yield
        return
    server, thread = start_http_server(port, host)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
