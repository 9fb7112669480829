"""The composition of the engine: everything it serves, in one process and one context."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from engine.actions import Actions
from engine.admission import watching_load
from engine.api import Api, CallLimit, RateLimit
from engine.callbacks import Notices, Receiver, sending_callbacks
from engine.certificate import Identity, make_identity, publish, server_context
from engine.clock import Clock, SystemClock, steady_time
from engine.debug_routes import FaultSwitches, RecordingDesk
from engine.drive_socket import PATH, DriveSockets, serving_drives
from engine.drive_token import DriveTokens
from engine.drives import DriveStatus
from engine.face.studio import open_studio
from engine.faults import Faults
from engine.http import make_application, serving_http
from engine.playout import running_playout_clock
from engine.plugged_voice import plugged_voice
from engine.recordings import keeping_recordings
from engine.settings import EngineSettings
from engine.signature import CallVerifier
from engine.speaker import Mute, Speaker
from engine.tasks import TaskRules, keeping_tasks
from engine.viewers import keeping_viewers, loopback_candidates
from engine.whep import Whep

FETCH_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """Where a running engine is reached, and the pair that its API wants."""

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
    notices: Notices,
    faults: Faults,
    clock: Clock,
    speaker: Speaker,
) -> AsyncIterator[Engine]:
    """Serve HTTP at a host until the end of the context; then end all tasks.

    What happens to the tasks is told to `notices`, which must outlive the context.
    """
    secret = settings.server_secret.get_secret_value()
    tokens = DriveTokens(now=steady_time(clock))
    async with AsyncExitStack() as stack:
        stack.enter_context(loopback_candidates(settings.public_host))
        recordings = stack.enter_context(
            keeping_recordings(settings.recordings_dir, settings.recordings_bytes)
        )
        client = await stack.enter_async_context(
            httpx.AsyncClient(
                timeout=FETCH_TIMEOUT_S, follow_redirects=True, max_redirects=5, trust_env=False
            )
        )
        studio = stack.enter_context(open_studio())
        playout_clock = await stack.enter_async_context(running_playout_clock())
        admission = await stack.enter_async_context(
            watching_load(measures=[playout_clock, studio], max_late_share=settings.max_late_share)
        )
        viewers = await stack.enter_async_context(keeping_viewers())
        tasks = await stack.enter_async_context(
            keeping_tasks(
                rules=_rules(settings),
                clock=clock,
                playout_clock=playout_clock,
                admission=admission,
                notices=notices,
                faults=faults,
                recordings=recordings,
                studio=studio,
            )
        )
        drive_port = await stack.enter_async_context(
            serving_drives(
                DriveSockets(
                    tasks=tasks, tokens=tokens, faults=faults, drive_ids=settings.drive_ids
                ),
                host=settings.host,
                port=settings.drive_port,
                context=server_context(identity),
            )
        )
        actions = Actions(
            tasks=tasks,
            tokens=tokens,
            speaker=speaker,
            client=client,
            drive_address=f"wss://{settings.public_address(drive_port)}{PATH}",
        )

        def tell_health() -> Mapping[str, Any]:
            ticks, frames = playout_clock.tally(), studio.tally()
            return {
                "tasks": len(tasks.live),
                "viewers": viewers.count,
                "ticks": ticks.done,
                "late_ticks": ticks.late,
                "skipped_ticks": playout_clock.skipped_ticks,
                "frames": frames.done,
                "late_frames": frames.late,
                "key_frames": studio.count.keys,
                "looped_frames": studio.count.looped,
                "late_share": round(admission.late_share, 4),
                "has_room": admission.has_room,
            }

        application = make_application(
            api=Api(
                verifier=CallVerifier(app_id=settings.app_id, server_secret=secret),
                handlers=actions.handlers(),
                faults=faults,
                limit=limit,
                clock=clock,
            ),
            whep=Whep(
                tasks=tasks,
                viewers=viewers,
                clock=clock,
                app_id=settings.app_id,
                server_secret=secret,
            ).routes(),
            recordings=RecordingDesk(tasks=tasks, recordings=recordings).routes(),
            fault_switches=FaultSwitches(faults),
            health=tell_health,
        )
        # Once HTTP is closed: a drive that holds its sender back lets go only when it ends.
        stack.push_async_callback(tasks.stop_all)
        port = await stack.enter_async_context(
            serving_http(application, host=host, port=settings.port)
        )
        yield Engine(
            base_url=f"http://{settings.public_address(port)}",
            drive_port=drive_port,
            app_id=settings.app_id,
            server_secret=secret,
            health=tell_health,
        )


@asynccontextmanager
async def voice_of(settings: EngineSettings) -> AsyncIterator[Speaker]:
    """Who speaks for DriveByText."""
    if settings.voice_url is None:
        yield Mute()
        return
    key = settings.voice_key.get_secret_value() if settings.voice_key else None
    async with plugged_voice(str(settings.voice_url), key) as voice:
        yield voice


def _rules(settings: EngineSettings) -> TaskRules:
    told_as = {"ended": DriveStatus.ENDED, "interrupted": DriveStatus.INTERRUPTED}
    return TaskRules(
        init_delay_s=settings.init_delay_s,
        max_tasks=settings.max_tasks,
        layout=settings.layout,
        interrupted_as=told_as[settings.interrupted_status],
    )


def identity_of(settings: EngineSettings) -> Identity:
    """A new identity for the drive sockets of one run, published if the settings say where."""
    identity = make_identity(settings.public_host)
    if settings.drive_certificate is not None:
        publish(identity, settings.drive_certificate)
    return identity


def receiver_of(settings: EngineSettings) -> Receiver | None:
    """Who gets the callbacks, if anybody."""
    if settings.callback_url is None or settings.callback_secret is None:
        return None
    return Receiver(
        url=str(settings.callback_url),
        secret=settings.callback_secret.get_secret_value(),
        app_id=settings.app_id,
        timestamp_unit=settings.callback_timestamps,
    )
