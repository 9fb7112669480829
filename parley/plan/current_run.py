"""The options of a `parley up` that runs here, for the commands that people type beside it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, flock
from pathlib import Path

from parley.certificates.issuing import tls_settings
from parley.plan.errors import PlanError
from parley.plan.listeners import TASK
from parley.plan.paths import VAR
from services.runtime.security.identities import Identity, tls_variables


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentRun:
    """How the processes reach each other, as far as the environment does not say it."""

    tls: Path | None = None
    """The folder of their certificates; None: as the environment has it."""
    replicas: int = 1

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return an environment with the certificates; raises OSError if a file is missing.

        Those that the environment has of its own are used instead.
        """
        if self.tls is None or any(given.get(each) for each in tls_variables(Identity.GATEWAY)):
            return dict(given)
        return {**given, **tls_settings(self.tls)}


@contextmanager
def noted(run: CurrentRun, environment: Mapping[str, str], folder: Path = VAR) -> Iterator[None]:
    """Note a run while the block is open; raises PlanError and OSError.

    The note is locked that long: what a run has left that was killed is known by its free lock.
    """
    path = _path(environment, folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    tls = None if run.tls is None else str(run.tls.resolve())
    with path.open("w", encoding="utf-8") as note:
        flock(note, LOCK_SH)
        json.dump({"tls": tls, "replicas": run.replicas}, note)
        note.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def is_running(environment: Mapping[str, str], folder: Path = VAR) -> bool:
    """Whether a run that is noted for these ports still goes on; raises PlanError."""
    try:
        with _path(environment, folder).open("rb") as note:
            flock(note, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def current_run(environment: Mapping[str, str], folder: Path = VAR) -> CurrentRun:
    """Return the run that is noted for these ports; raises PlanError."""
    try:
        told = json.loads(_path(environment, folder).read_text(encoding="utf-8"))
        tls = told["tls"]
        return CurrentRun(tls=None if tls is None else Path(tls), replicas=told["replicas"])
    except (OSError, ValueError, KeyError, TypeError):
        return CurrentRun()


def beside_run(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment with the certificates of the run here, if it has any.

    Raises OSError if a file is missing. Ports that are none are for others to report.
    """
    try:
        return current_run(environment).environment(environment)
    except PlanError:
        return dict(environment)


def _path(environment: Mapping[str, str], folder: Path) -> Path:
    return folder / f"up-{TASK.port(environment)}.json"
