"""Who is there for a task."""

from dataclasses import dataclass

from services.runtime.callers.caller import Caller


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Somebody who is there for a task, or says so."""

    task_id: str
    caller: Caller
