"""The composition of the avatar service: from settings to a server that is up."""

import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

import structlog
from pydantic import SecretStr

from digitalhuman.avatar.v1 import avatar_pb2, avatar_pb2_grpc
from services.avatar.claims import UndisputedClaims
from services.avatar.digital_humans import DefaultDigitalHuman
from services.avatar.drives import draining, running_drives
from services.avatar.other_replicas import OtherReplicas, to_other_replicas
from services.avatar.pacing import running_clock
from services.avatar.ports import Claims
from services.avatar.servicer import AvatarServicer
from services.avatar.settings import AvatarSettings
from services.avatar.vendor.api import CloudApi
from services.avatar.vendor.callback import CallbackVerifier
from services.avatar.vendor.client import CallPatience, cloud_client
from services.avatar.vendor.drives import VendorDrives
from services.avatar.vendor.fair_limits import FairRateLimits
from services.avatar.vendor.limits import ProcessRateLimits, RateLimits
from services.avatar.vendor.replays import SeenSignatures, stored_signatures
from services.avatar.vendor.socket import ProxyOf, SocketPatience
from services.avatar.vendor.trust import SocketTrust, Verification
from services.avatar.viewers import CloudTokens, EngineTokens, Stage, TokenFormat, Viewers
from services.runtime.clock import SteadyClock
from services.runtime.network.proxies import proxy_for
from services.runtime.security.identities import Identity
from services.runtime.serving.server import Serving, ServingOptions, serving

log = structlog.get_logger(__name__)

CUT_OFF_S = 3.0
"""How long drives may take to end and to report to their callers once they are cut off."""

SERVICE = avatar_pb2.DESCRIPTOR.services_by_name["AvatarService"].full_name


@asynccontextmanager
async def running(settings: AvatarSettings) -> AsyncIterator[Serving]:
    """Serve until the end of the context; then let running replies end, and cut off the rest.

    Raises DatabaseError.
    """
    trust = SocketTrust(
        verification=settings.drive_verification,
        fingerprints=settings.fingerprints,
        certificate=settings.engine_certificate if settings.is_engine else None,
    )
    is_verified = settings.drive_verification is Verification.ALL or trust.is_exact
    if not is_verified:
        log.warning(
            "DRIVE SERVERS ARE NOT VERIFIED: set AVATAR_DRIVE_FINGERPRINTS to pin certificates",
            verification=settings.drive_verification.value,
        )
    async with AsyncExitStack() as stack:
        others = await stack.enter_async_context(_to_other_replicas(settings))
        shared = await stack.enter_async_context(_agreement(settings, others))
        client = await stack.enter_async_context(
            cloud_client(
                settings.resolved_cloud_url,
                credentials=settings.credentials,
                limits=FairRateLimits(shared.limits),
                patience=CallPatience(),
                proxy=_proxy_of(settings)(settings.resolved_cloud_url),
            )
        )
        api = CloudApi(client)
        drives = await stack.enter_async_context(
            running_drives(
                cloud=VendorDrives(
                    api, trust=trust, patience=SocketPatience(), proxy_of=_proxy_of(settings)
                ),
                claims=shared.claims,
                profile=settings.pacing_profile,
                clock=await stack.enter_async_context(running_clock()),
            )
        )
        clock = SteadyClock()
        servicer = AvatarServicer(
            api=api,
            drives=drives,
            claims=shared.claims,
            others=others,
            default_digital_human=DefaultDigitalHuman(
                api, digital_human_id=settings.digital_human_id
            ),
            viewers=_viewers(settings),
            callbacks=_callbacks(settings, shared.signatures),
            clock=clock,
        )
        up = await stack.enter_async_context(
            serving(
                _serving_options(settings),
                [SERVICE],
                lambda server: avatar_pb2_grpc.add_AvatarServiceServicer_to_server(
                    servicer, server
                ),
            )
        )
        await stack.enter_async_context(draining(drives, within_s=settings.drain_s))
        yield up


@dataclass(frozen=True, slots=True, kw_only=True)
class _Agreement:
    """What replicas must agree upon."""

    limits: RateLimits
    claims: Claims
    signatures: SeenSignatures


@asynccontextmanager
async def _agreement(settings: AvatarSettings, others: OtherReplicas) -> AsyncIterator[_Agreement]:
    """Agree with the other replicas, if there is a database for that."""
    with stored_signatures(settings.signatures) as signatures:
        if settings.database is None:
            yield _Agreement(
                limits=ProcessRateLimits(), claims=UndisputedClaims(), signatures=signatures
            )
            return
        async with _shared(settings.database, settings, others, signatures) as agreement:
            yield agreement


@asynccontextmanager
async def _shared(
    location: SecretStr, settings: AvatarSettings, others: OtherReplicas, signatures: SeenSignatures
) -> AsyncIterator[_Agreement]:
    # The database's driver takes 20 ms of a start.
    from services.avatar.postgres.claims import PostgresClaims
    from services.avatar.postgres.database import opened
    from services.avatar.postgres.limits import PostgresRateLimits
    from services.avatar.postgres.replays import SharedSignatures
    from services.avatar.postgres.replica import alive

    async with (
        opened(location.get_secret_value(), connections=settings.database_pool) as database,
        alive(database, address=settings.resolved_address) as replica,
    ):
        alone = ProcessRateLimits(sharers=lambda: replica.count)
        yield _Agreement(
            limits=PostgresRateLimits(database, alone=alone),
            claims=PostgresClaims(database, replica, give_way=others.give_way),
            signatures=SharedSignatures(database, alone=signatures),
        )


def _proxy_of(settings: AvatarSettings) -> ProxyOf:
    """The engine is reached directly; the cloud through the proxies of the environment."""
    return lambda url: None if settings.is_engine else proxy_for(url, os.environ)


def _viewers(settings: AvatarSettings) -> Viewers:
    return Viewers(
        credentials=settings.credentials,
        token_format=_token_format(settings),
        default_ttl_s=settings.token_expire_seconds,
        stage=Stage(whep_url=settings.whep_url, express_server=settings.express_server),
    )


def _token_format(settings: AvatarSettings) -> TokenFormat:
    return EngineTokens() if settings.is_engine else CloudTokens(mode=settings.token_mode)


def _callbacks(settings: AvatarSettings, seen: SeenSignatures) -> CallbackVerifier | None:
    if not settings.callback_secrets:
        log.warning("callbacks are refused: CALLBACK_SECRET is not set")
        return None
    return CallbackVerifier(
        app_id=settings.credentials.app_id, seen=seen, secrets=settings.callback_secrets
    )


def _to_other_replicas(settings: AvatarSettings) -> AbstractAsyncContextManager[OtherReplicas]:
    return to_other_replicas(
        service_token=settings.sent_token, tls=settings.tls_to(Identity.AVATAR)
    )


def _serving_options(settings: AvatarSettings) -> ServingOptions:
    return replace(settings.serving_options, drain_s=settings.drain_s + CUT_OFF_S)
