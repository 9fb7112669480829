"""Channels to the other services: one per peer and process, made where the process is composed."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc

SERVICE_CONFIG = Path(__file__).with_name("service_config.json")


@asynccontextmanager
async def connected(target: str) -> AsyncIterator[grpc.aio.Channel]:
    """Open a channel with the published retry and timeout policy; it connects when first used."""
    options = [
        # Whatever proxy the environment names is not for our own processes.
        ("grpc.enable_http_proxy", 0),
        ("grpc.service_config", json.dumps(json.loads(SERVICE_CONFIG.read_text()))),
        # A peer that restarts is found again soon; by default that may take two minutes.
        ("grpc.initial_reconnect_backoff_ms", 200),
        ("grpc.max_reconnect_backoff_ms", 2_000),
        ("grpc.keepalive_time_ms", 20_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", 65_536),
    ]
    async with grpc.aio.insecure_channel(target, options=options) as channel:
        yield channel
