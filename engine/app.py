"""The composition of the engine: everything it serves, in one process and one context."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import httpx

from engine.actions import Actions
from engine.api import Api
from engine.callbacks import Receiver, sending_callbacks
from engine.certificate import make_server_context
from engine.clock import Clock, SystemClock
from engine.drive_socket import PATH, DriveSockets, serving_drives
from engine.drive_token import DriveTokens
from engine.drives import DriveStatus
from engine.faults import Faults
from engine.http import make_application, serving_http
from engine.playout import running_metronome
from engine.recordings import keeping_recordings
from engine.settings import EngineSettings
from engine.signature import CallVerifier
from engine.speaker import Mute, Speaker
from engine.tasks import TaskRules, keeping_tasks
from engine.viewers import keeping_viewers, loopback_candidates
from engine.whep import Whep
from engine.workbench import Workbench

FETCH_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """Where a running engine is reached, and the pair that its API wants."""

    base_url: str
    drive_port: int
    app_id: int
    server_secret: str


@asynccontextmanager
async def running(
    settings: EngineSettings, *, clock: Clock | None = None, speaker: Speaker | None = None
) -> AsyncIterator[Engine]:
    """Serve until the end of the context; then end all tasks and send their last callbacks."""
    clock = clock or SystemClock()
    speaker = speaker or Mute()
    secret = settings.server_secret.get_secret_value()
    faults = Faults()
    tokens = DriveTokens(clock=clock)
    async with AsyncExitStack() as stack:
        stack.enter_context(loopback_candidates(settings.public_host))
        recordings = stack.enter_context(
            keeping_recordings(settings.recordings_dir, settings.recordings_bytes)
        )
        client = await stack.enter_async_context(
            httpx.AsyncClient(timeout=FETCH_TIMEOUT_S, follow_redirects=True, max_redirects=5)
        )
        callbacks = await stack.enter_async_context(
            sending_callbacks(receiver=_receiver(settings), clock=clock, faults=faults)
        )
        metronome = await stack.enter_async_context(running_metronome())
        viewers = await stack.enter_async_context(keeping_viewers())
        tasks = await stack.enter_async_context(
            keeping_tasks(
                rules=_rules(settings),
                clock=clock,
                metronome=metronome,
                callbacks=callbacks,
                faults=faults,
                recordings=recordings,
            )
        )
        drive_port = await stack.enter_async_context(
            serving_drives(
                DriveSockets(tasks=tasks, tokens=tokens, faults=faults),
                host=settings.host,
                port=settings.drive_port,
                context=make_server_context(settings.public_host),
            )
        )
        actions = Actions(
            tasks=tasks,
            tokens=tokens,
            speaker=speaker,
            client=client,
            drive_address=f"wss://{settings.public_host}:{drive_port}{PATH}",
        )
        application = make_application(
            api=Api(
                verifier=CallVerifier(app_id=settings.app_id, server_secret=secret),
                handlers=actions.handlers(),
                faults=faults,
                clock=clock,
            ),
            whep=Whep(
                tasks=tasks,
                viewers=viewers,
                clock=clock,
                app_id=settings.app_id,
                server_secret=secret,
            ),
            workbench=Workbench(tasks=tasks, faults=faults, recordings=recordings),
            health=lambda: {
                "tasks": len(tasks.live),
                "viewers": viewers.count,
                "skipped_ticks": metronome.skipped_ticks,
            },
        )
        # Once HTTP is closed: a drive that holds its sender back lets go only when it ends.
        stack.push_async_callback(tasks.stop_all)
        port = await stack.enter_async_context(
            serving_http(application, host=settings.host, port=settings.port)
        )
        yield Engine(
            base_url=f"http://{settings.public_host}:{port}",
            drive_port=drive_port,
            app_id=settings.app_id,
            server_secret=secret,
        )


def _rules(settings: EngineSettings) -> TaskRules:
    told_as = {"ended": DriveStatus.ENDED, "interrupted": DriveStatus.INTERRUPTED}
    return TaskRules(
        init_delay_s=settings.init_delay_s,
        max_tasks=settings.max_tasks,
        interrupted_as=told_as[settings.interrupted_status],
    )


def _receiver(settings: EngineSettings) -> Receiver | None:
    if settings.callback_url is None or settings.callback_secret is None:
        return None
    return Receiver(
        url=str(settings.callback_url),
        secret=settings.callback_secret.get_secret_value(),
        app_id=settings.app_id,
        timestamp_unit=settings.callback_timestamps,
    )
