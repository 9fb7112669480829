"""The composition of the engine: everything it serves, in one process and one context."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from engine.broadcast import Broadcast, broadcasting
from engine.clock import Clock, SystemClock, steady_time
from engine.contract.drive_token import DriveTokens
from engine.contract.faults import Faults
from engine.contract.replays import UsedSignatures, used_signatures
from engine.contract.signature import CallVerifier
from engine.contract.viewer_token import ViewerTokens
from engine.routes.actions import Actions
from engine.routes.api import Api, CallLimit, RateLimit
from engine.routes.application import HealthPage, RouteGroup, make_application
from engine.routes.debug import DebugAccess, FaultSwitches, RecordingDesk
from engine.routes.door import Door, ThrottledDoor
from engine.routes.whep import Whep
from engine.serving.certificate import Identity, make_identity, publish, server_context
from engine.serving.http import serving_http
from engine.settings import EngineSettings
from engine.sources.audio_url import fetching_audio
from engine.sources.drive_socket import PATH, DriveSockets, serving_drives
from engine.sources.plugged_voice import plugged_voice
from engine.sources.speaker import Mute, Speaker
from engine.tasks.callbacks import Notices, Receiver, sending_callbacks
from engine.throttle import failures_of_callers


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """Where a running engine is reached, and the credentials that its API expects."""

    base_url: str
    drive_port: int
    app_id: int
    server_secret: str
    health: Callable[[], Mapping[str, Any]]


@asynccontextmanager
async def running(
    settings: EngineSettings, *, clock: Clock | None = None, speaker: Speaker | None = None
) -> AsyncIterator[Engine]:
    """Serve until the end of the context; then end all tasks and send their last callbacks."""
    clock = clock or SystemClock()
    faults = Faults()
    async with (
        sending_callbacks(receiver=receiver_of(settings), clock=clock, faults=faults) as callbacks,
        voice_of(settings) as voice,
        serving(
            settings,
            identity=identity_of(settings),
            host=settings.host,
            limit=RateLimit(clock),
            door=ThrottledDoor(clock),
            notices=callbacks,
            faults=faults,
            clock=clock,
            speaker=speaker or voice,
        ) as engine,
    ):
        yield engine


@asynccontextmanager
async def serving(
    settings: EngineSettings,
    *,
    identity: Identity,
    host: str,
    limit: CallLimit,
    door: Door,
    notices: Notices,
    faults: Faults,
    clock: Clock,
    speaker: Speaker,
) -> AsyncIterator[Engine]:
    """Serve HTTP at a host until the end of the context; then end all tasks.

    `notices` receives what happens to the tasks and must outlive the context.
    """
    tokens = DriveTokens(now=steady_time(clock))
    async with AsyncExitStack() as stack:
        used = stack.enter_context(used_signatures(settings.signatures))
        audio_files = await stack.enter_async_context(fetching_audio(settings.audio_networks))
        broadcast = await stack.enter_async_context(
            broadcasting(settings, clock=clock, notices=notices, faults=faults)
        )
        sockets = DriveSockets(
            tasks=broadcast.tasks,
            tokens=tokens,
            failures=failures_of_callers(clock),
            faults=faults,
            drive_ids=settings.drive_ids,
        )
        drive_port = await stack.enter_async_context(
            serving_drives(
                sockets,
                host=settings.host,
                port=settings.drive_port,
                context=server_context(identity),
            )
        )
        actions = Actions(
            tasks=broadcast.tasks,
            tokens=tokens,
            speaker=speaker,
            audio_files=audio_files,
            drive_address=f"wss://{settings.public_address(drive_port)}{PATH}",
        )
        application = make_application(
            Api(
                verifier=verifier_of(settings, used),
                handlers=actions.handlers(),
                faults=faults,
                limit=limit,
                clock=clock,
            ),
            _whep(settings, broadcast, clock, door),
            HealthPage(broadcast),
            *_debugging(settings, broadcast, faults),
        )
        # After HTTP is closed: a drive that blocks its sender is released only when it ends.
        stack.push_async_callback(broadcast.tasks.stop_all)
        port = await stack.enter_async_context(
            serving_http(application, host=host, port=settings.port)
        )
        yield engine_at(settings, port=port, drive_port=drive_port, health=broadcast.figures)


def engine_at(
    settings: EngineSettings,
    *,
    port: int,
    drive_port: int,
    health: Callable[[], Mapping[str, Any]],
) -> Engine:
    """Return the engine that serves at these ports."""
    return Engine(
        base_url=f"http://{settings.public_address(port)}",
        drive_port=drive_port,
        app_id=settings.app_id,
        server_secret=settings.server_secrets[0],
        health=health,
    )


def _whep(settings: EngineSettings, broadcast: Broadcast, clock: Clock, door: Door) -> Whep:
    steady = steady_time(clock)
    tokens = ViewerTokens(
        app_id=settings.app_id,
        server_secrets=settings.server_secrets,
        # Issued before the wall clock was set, or after.
        now=lambda: min(clock.time(), steady()),
    )
    return Whep(tasks=broadcast.tasks, viewers=broadcast.viewers, tokens=tokens, door=door)


def _debugging(
    settings: EngineSettings, broadcast: Broadcast, faults: Faults
) -> Sequence[RouteGroup]:
    if settings.debug_token is None:
        return ()
    access = DebugAccess(settings.debug_token.get_secret_value())
    return (
        RecordingDesk(tasks=broadcast.tasks, recordings=broadcast.recordings, access=access),
        FaultSwitches(faults, access),
    )


@asynccontextmanager
async def voice_of(settings: EngineSettings) -> AsyncIterator[Speaker]:
    """The voice for DriveByText."""
    if settings.voice_url is None:
        yield Mute()
        return
    key = settings.voice_key.get_secret_value() if settings.voice_key else None
    async with plugged_voice(str(settings.voice_url), key) as voice:
        yield voice


def verifier_of(settings: EngineSettings, used: UsedSignatures) -> CallVerifier:
    """Return what verifies the signatures of calls."""
    return CallVerifier(app_id=settings.app_id, server_secrets=settings.server_secrets, used=used)


def identity_of(settings: EngineSettings) -> Identity:
    """Return a new identity for this run's drive sockets, published if the settings say where."""
    identity = make_identity(settings.public_host)
    if settings.drive_certificate is not None:
        publish(identity, settings.drive_certificate)
    return identity


def receiver_of(settings: EngineSettings) -> Receiver | None:
    """Return the receiver of callbacks, if there is one."""
    if settings.callback_url is None or settings.signing_secret is None:
        return None
    return Receiver(
        url=str(settings.callback_url),
        secret=settings.signing_secret,
        app_id=settings.app_id,
        timestamp_unit=settings.callback_timestamps,
    )
