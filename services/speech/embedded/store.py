"""The model store: pinned files in a cache that all checkouts of a user share."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from services.runtime.operator_error import OperatorError
from services.speech.embedded.digest import file_sha256
from services.speech.embedded.manifest import Manifest, Model, ModelFile
from services.speech.embedded.sources import Source, SourceError

_DISK_MARGIN = 128 << 20


class ModelStoreError(OperatorError):
    """The store cannot do what was asked; the message is written for people."""


class FileState(StrEnum):
    """The state of a model file on disk."""

    MISSING = "missing"
    VERIFIED = "verified"
    """Its hash was correct, and it has not changed since."""
    UNVERIFIED = "unverified"
    """Its hash has not been checked since it last changed."""
    CORRUPT = "corrupt"


class Activity(StrEnum):
    """What the store is doing."""

    WAITING = "waiting for another process"
    FETCHING = "fetching"
    CHECKING = "checking"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The progress of the work on one file, in bytes."""

    file: ModelFile
    activity: Activity
    done: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPlan:
    """What getting one model takes: bytes on disk already, and bytes over the network."""

    model: Model
    present_bytes: int
    fetch_bytes: int

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing."""
        return self.present_bytes == self.model.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What `ensure` would do."""

    models: tuple[ModelPlan, ...]

    @property
    def total_bytes(self) -> int:
        """Bytes on disk when done."""
        return sum(plan.model.size for plan in self.models)

    @property
    def present_bytes(self) -> int:
        """Bytes already on disk."""
        return sum(plan.present_bytes for plan in self.models)

    @property
    def fetch_bytes(self) -> int:
        """Bytes to fetch over the network."""
        return sum(plan.fetch_bytes for plan in self.models)


OnProgress = Callable[[Progress], None]


class ModelStore:
    """Model files under `root`, each accepted only with its pinned SHA-256.

    Calls block. Any number of processes may use one root: pulls are exclusive, a file appears
    whole or not at all, and readers need no lock.
    """

    def __init__(self, *, manifest: Manifest, root: Path, sources: Sequence[Source]) -> None:
        self.manifest = manifest
        self._root = root
        self._sources = sources

    def path(self, file: ModelFile) -> Path:
        """Return where the file belongs, whether or not it exists."""
        return self._root / file.model / file.name

    def state(self, file: ModelFile) -> FileState:
        """Return the file's state without reading it."""
        try:
            stat = self.path(file).stat()
        except (FileNotFoundError, NotADirectoryError):
            return FileState.MISSING
        if stat.st_size != file.size:
            return FileState.CORRUPT
        marker = self._marker(file)
        if marker.exists() and marker.read_text(encoding="ascii") == _fingerprint(file, stat):
            return FileState.VERIFIED
        return FileState.UNVERIFIED

    def folder(self, name: str) -> Path:
        """Return the folder of a complete model; raises ModelStoreError if anything is missing."""
        missing = [
            file.name
            for file in self.manifest[name].files
            if self.state(file) is not FileState.VERIFIED
        ]
        if missing:
            raise ModelStoreError(
                f"the model {name} is not ready ({', '.join(missing)}): "
                f"run `parley models pull {name}`"
            )
        return self._root / name

    def plan(self, names: Iterable[str]) -> Plan:
        """Return what `ensure` would fetch, without reading files or using the network."""
        return Plan(models=tuple(self._plan_model(self.manifest[name]) for name in names))

    def ensure(self, names: Iterable[str], *, progress: OnProgress = lambda progress: None) -> None:
        """Make the models complete, from the first source that has each file.

        Raises ModelStoreError if the disk is too small or no source works. What has arrived is
        kept, so that the next call resumes from there.
        """
        files = [file for name in names for file in self.manifest[name].files]
        if all(self.state(file) is FileState.VERIFIED for file in files):
            return
        with self._exclusive(files[0], progress):
            missing = [file for file in files if not self._check(file, progress)]
            self._require_space(missing)
            for file in missing:
                self._fetch(file, progress)
            for model in {file.model for file in missing}:
                shutil.rmtree(self._staging(model), ignore_errors=True)

    def verify(
        self, names: Iterable[str], *, progress: OnProgress = lambda progress: None
    ) -> dict[ModelFile, FileState]:
        """Read every file again; a wrong one loses its marker, so that `ensure` replaces it."""
        states = {}
        for file in (file for name in names for file in self.manifest[name].files):
            state = self.state(file)
            if state in (FileState.VERIFIED, FileState.UNVERIFIED):
                is_correct = self._has_pinned_hash(file, self.path(file), progress)
                state = FileState.VERIFIED if is_correct else FileState.CORRUPT
                if is_correct:
                    self._mark(file)
            if state is not FileState.VERIFIED:
                self._marker(file).unlink(missing_ok=True)
            states[file] = state
        return states

    def _plan_model(self, model: Model) -> ModelPlan:
        present = (FileState.VERIFIED, FileState.UNVERIFIED)
        missing = [file for file in model.files if self.state(file) not in present]
        present_bytes = model.size - sum(file.size for file in missing)
        fetch_bytes = 0
        for source in self._sources:
            offered = [file for file in missing if source.offers(file)]
            fetch_bytes += source.transfer_size(offered, self._staging(model.name))
            missing = [file for file in missing if file not in offered]
        return ModelPlan(model=model, present_bytes=present_bytes, fetch_bytes=fetch_bytes)

    def _check(self, file: ModelFile, progress: OnProgress) -> bool:
        """Return whether the file exists and is correct; a wrong one is removed."""
        match self.state(file):
            case FileState.VERIFIED:
                return True
            case FileState.MISSING:
                return False
            case FileState.UNVERIFIED:
                if self._has_pinned_hash(file, self.path(file), progress):
                    self._mark(file)
                    return True
        self.path(file).unlink()
        return False

    def _fetch(self, file: ModelFile, progress: OnProgress) -> None:
        staging = self._staging(file.model)
        staging.mkdir(parents=True, exist_ok=True)
        candidate = staging / f"{file.name}.candidate"
        reasons = []

        def report(done: int, total: int) -> None:
            progress(Progress(file=file, activity=Activity.FETCHING, done=done, total=total))

        for source in self._sources:
            try:
                source.fetch(file, candidate, staging=staging, report=report)
            except SourceError as error:
                reasons.append(f"{source.describe(file)}: {error}")
                continue
            if self._has_pinned_hash(file, candidate, progress):
                self.path(file).parent.mkdir(parents=True, exist_ok=True)
                candidate.replace(self.path(file))
                self._mark(file)
                return
            candidate.unlink()
            reasons.append(f"{source.describe(file)}: its SHA-256 is not the pinned one")
        raise ModelStoreError(
            "\n  - ".join([f"no source could give {file.label}:", *reasons])
            if reasons
            else f"no source is set up for {file.label}"
        )

    def _has_pinned_hash(self, file: ModelFile, path: Path, progress: OnProgress) -> bool:
        def report(done: int) -> None:
            progress(Progress(file=file, activity=Activity.CHECKING, done=done, total=file.size))

        return path.stat().st_size == file.size and file_sha256(path, report) == file.sha256

    def _require_space(self, missing: Sequence[ModelFile]) -> None:
        """Require room for every missing file, and for the parts of the largest during the join."""
        if not missing:
            return
        needed = sum(file.size for file in missing) + max(file.size for file in missing)
        needed += _DISK_MARGIN
        free = shutil.disk_usage(self._root).free
        if free < needed:
            raise ModelStoreError(
                f"the models need {_megabytes(needed)} free in {self._root}, and "
                f"{_megabytes(free)} are: make room, or set PARLEY_CACHE to a roomier folder"
            )

    @contextlib.contextmanager
    def _exclusive(self, file: ModelFile, progress: OnProgress) -> Iterator[None]:
        """Hold the store's pull lock; the system releases it if the process dies."""
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            lock_file = (self._root / ".lock").open("w")
        except OSError as error:
            raise ModelStoreError(
                f"the models cannot be kept in {self._root}: {error.strerror}. Set PARLEY_CACHE to"
                " a folder that can be written to"
            ) from None
        with lock_file as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                progress(Progress(file=file, activity=Activity.WAITING, done=0, total=file.size))
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _mark(self, file: ModelFile) -> None:
        marker = self._marker(file)
        marker.parent.mkdir(parents=True, exist_ok=True)
        unfinished = marker.with_name(f"{marker.name}.{os.getpid()}")
        unfinished.write_text(_fingerprint(file, self.path(file).stat()), encoding="ascii")
        unfinished.replace(marker)

    def _marker(self, file: ModelFile) -> Path:
        return self._root / ".verified" / file.model / file.name

    def _staging(self, model: str) -> Path:
        return self._root / ".staging" / model


def _fingerprint(file: ModelFile, stat: os.stat_result) -> str:
    """Return a text that changes whenever the pinned hash or the file does."""
    return f"{file.sha256} {stat.st_size} {stat.st_mtime_ns}"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
