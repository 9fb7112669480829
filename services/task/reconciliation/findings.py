"""What should not be as it is, and what is to be done about it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from services.runtime.callers.caller import DEFAULT_TENANT, Caller
from services.task.domain.tasks import Task, TaskState
from services.task.ports.cloud import Avatar, AvatarState


class FindingAction(StrEnum):
    """What is to be done."""

    STOP_TASK = "STOP_TASK"
    CHECK_TASK = "CHECK_TASK"
    STOP_AVATAR = "STOP_AVATAR"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something to be done about a task, or an avatar without one; `reason` is for operators."""

    action: FindingAction
    reason: str
    stream_id: str
    tenant_id: str = DEFAULT_TENANT
    user_id: str = ""
    task_id: str = ""
    avatar_id: str = ""

    def is_seen_by(self, caller: Caller) -> bool:
        """Whether a caller sees it: the default tenant, which owns the account, sees all."""
        is_operator = caller.tenant_id == DEFAULT_TENANT and not caller.user_id
        return is_operator or caller.sees(tenant_id=self.tenant_id, user_id=self.user_id)


def about(task: Task, action: FindingAction, reason: str) -> Finding:
    """Return a finding about a task."""
    return Finding(
        action=action,
        reason=reason,
        stream_id=task.stream_id,
        tenant_id=task.tenant_id,
        user_id=task.user_id,
        task_id=task.task_id,
        avatar_id=task.avatar_id,
    )


def find_due(
    tasks: Sequence[Task], avatars: Mapping[str, Avatar] | None, *, now: datetime
) -> Sequence[Finding]:
    """Return the live tasks to look at, given what the cloud runs; None: it did not say."""
    found = (_of_task(task, avatars, now=now) for task in tasks)
    return [finding for finding in found if finding is not None]


def is_stray(avatar: Avatar, owners: Collection[Task], *, owns_account: bool) -> bool:
    """Whether all tasks of an avatar's stream are done with it.

    One whose stream no task ever had is of somebody else, if others may use the account.
    """
    is_ours = owns_account or bool(owners)
    return is_ours and not any(_may_own(task, avatar) for task in owners)


def about_stray(avatar: Avatar) -> Finding:
    """Return that a stray avatar is to be stopped."""
    return Finding(
        action=FindingAction.STOP_AVATAR,
        reason="no live task has this avatar",
        stream_id=avatar.stream_id,
        avatar_id=avatar.avatar_id,
    )


def _of_task(task: Task, avatars: Mapping[str, Avatar] | None, *, now: datetime) -> Finding | None:
    match task.state:
        case TaskState.STOPPING:
            return about(task, FindingAction.STOP_TASK, "its stop is not confirmed yet")
        case TaskState.STREAMING if task.expire_time <= now:
            return about(task, FindingAction.STOP_TASK, "its time is over")
        case TaskState.STREAMING if task.is_unclaimed(now):
            return about(task, FindingAction.STOP_TASK, "its creator never claimed it")
        case TaskState.STREAMING:
            if avatars is None or _is_on_air(avatars.get(task.avatar_id)):
                return None
            return about(task, FindingAction.CHECK_TASK, "the cloud does not list its avatar")
        case _ if avatars is not None:
            return about(task, FindingAction.CHECK_TASK, "it is not on air yet")
        case _:
            return None


def _is_on_air(avatar: Avatar | None) -> bool:
    return avatar is not None and avatar.state in (AvatarState.STARTING, AvatarState.STREAMING)


def _may_own(task: Task, avatar: Avatar) -> bool:
    return not task.state.is_final and task.avatar_id in ("", avatar.avatar_id)
