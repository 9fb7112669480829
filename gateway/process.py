"""From the settings to a gateway that serves."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio.lowlevel
import structlog

from gateway.access.published_keys import published_keys
from gateway.access.users import SignedUsers
from gateway.app import GatewayOptions, create_app
from gateway.backend.services import Targets, connecting
from gateway.decoding.decoder import decoding
from gateway.middleware.access import AccessRules
from gateway.server.drain import Drain
from gateway.server.serving import serving
from gateway.settings import GatewaySettings
from services.runtime.clock import SteadyClock
from services.runtime.process import until_stopped
from services.runtime.settings.environment import load
from services.runtime.telemetry.logs import configure_logs
from services.runtime.telemetry.metrics import metrics_served

log = structlog.get_logger("gateway")


async def serve() -> None:
    """Serve until the process is stopped."""
    settings = load(GatewaySettings)
    configure_logs("gateway", settings)
    targets = Targets(
        task=settings.task_target, speech=settings.speech_target, avatar=settings.avatar_target
    )
    options = GatewayOptions(
        access=AccessRules(
            is_open=settings.is_open,
            origins=settings.origins,
            hosts=settings.hosts,
            requests_per_second=settings.requests_per_second,
        ),
        keys=settings.accepted_keys,
        max_upload_bytes=settings.max_upload_bytes,
        create_timeout_s=settings.create_timeout_s,
        turn_timeout_s=settings.turn_timeout_s,
        create_answer=settings.create_answer,
        talk_answer=settings.talk_answer,
    )
    async with decoding(options.audio) as decoder:
        # Before any channel is opened: gRPC's threads do not survive a fork.
        await decoder.warm_up()
        async with (
            connecting(targets, service_token=settings.sent_token, tls=settings.tls) as backend,
            _users(settings) as users,
        ):
            drain = Drain(notice_s=settings.notice_s)
            app = create_app(
                backend=backend, decoder=decoder, options=options, users=users, drain=drain
            )
            # Loads what anyio needs with this kind of loop; the first request would wait for it.
            await anyio.lowlevel.checkpoint()
            async with (
                metrics_served(settings.metrics_host, settings.metrics_port),
                serving(
                    app,
                    host=settings.host,
                    port=settings.port,
                    drain=drain,
                    limits=settings.connections,
                ) as url,
            ):
                if settings.is_open:
                    log.warning(
                        "OPEN: no credentials are needed, anyone on this machine may call",
                        url=url,
                    )
                log.info("gateway up", url=url)
                await until_stopped()
                log.info("gateway down")


@asynccontextmanager
async def _users(settings: GatewaySettings) -> AsyncIterator[SignedUsers | None]:
    """Open what checks users' tokens, if they are taken."""
    if not settings.jwks:
        yield None
        return
    async with published_keys(settings.jwks) as keys:
        yield SignedUsers(rules=settings.token_rules, keys=keys, now=SteadyClock().time)
