"""What is on air: the tasks, their viewers, and how well the machine keeps up."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from engine.admission import Admission, watching_load
from engine.audio.recordings import Recordings, keeping_recordings
from engine.clock import Clock
from engine.contract.faults import Faults
from engine.face.studio import Studio, open_studio
from engine.settings import EngineSettings
from engine.tasks.callbacks import Notices
from engine.tasks.drives import DriveStatus
from engine.tasks.lifecycle import Tasks, keeping_tasks
from engine.tasks.playout import PlayoutClock, running_playout_clock
from engine.tasks.task import TaskRules
from engine.viewing.viewers import Viewers, keeping_viewers, loopback_candidates


@dataclass(frozen=True, slots=True, kw_only=True)
class Broadcast:
    """Everything on air in one process."""

    tasks: Tasks
    viewers: Viewers
    recordings: Recordings
    playout_clock: PlayoutClock
    studio: Studio
    admission: Admission

    def figures(self) -> Mapping[str, Any]:
        """The figures of this moment, by name."""
        ticks, frames = self.playout_clock.tally(), self.studio.tally()
        return {
            "tasks": len(self.tasks.live),
            "viewers": self.viewers.count,
            "ticks": ticks.done,
            "late_ticks": ticks.late,
            "skipped_ticks": self.playout_clock.skipped_ticks,
            "frames": frames.done,
            "late_frames": frames.late,
            "key_frames": self.studio.count.keys,
            "looped_frames": self.studio.count.looped,
            "late_share": round(self.admission.late_share, 4),
            "has_room": self.admission.has_room,
        }


@asynccontextmanager
async def broadcasting(
    settings: EngineSettings, *, clock: Clock, notices: Notices, faults: Faults
) -> AsyncIterator[Broadcast]:
    """Run tasks until the end of the context; then end all of them."""
    async with AsyncExitStack() as stack:
        stack.enter_context(loopback_candidates(settings.public_host))
        recordings = stack.enter_context(
            # What nobody may listen to is not kept.
            keeping_recordings(
                settings.recordings_dir, settings.recordings_bytes if settings.debug_token else 0
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
        yield Broadcast(
            tasks=tasks,
            viewers=viewers,
            recordings=recordings,
            playout_clock=playout_clock,
            studio=studio,
            admission=admission,
        )


def _rules(settings: EngineSettings) -> TaskRules:
    shown_as = {"ended": DriveStatus.ENDED, "interrupted": DriveStatus.INTERRUPTED}
    return TaskRules(
        init_delay_s=settings.init_delay_s,
        max_tasks=settings.max_tasks,
        layout=settings.layout,
        interrupted_as=shown_as[settings.interrupted_status],
    )
