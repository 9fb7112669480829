"""What this machine has: Python, memory, models, space on its disk."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from parley.doctor.finding import judged
from services.runtime.check import Finding
from services.runtime.settings.environment import SettingsError, load
from services.speech.embedded.library import (
    LibrarySettings,
    choose_language_model,
    default_models,
    open_store,
    usable_memory,
)
from services.speech.embedded.store import FileState, ModelStore

_NEEDED_MEMORY = 2 * 10**9
_JOURNAL_SPACE = 200 * 10**6


def machine() -> Iterator[Finding]:
    """Report whether Python is new enough and memory suffices."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield judged("python", sys.version_info >= (3, 11), version, "Install Python 3.11 or newer.")
    memory = usable_memory()
    yield judged(
        "memory",
        memory >= _NEEDED_MEMORY,
        f"{memory / 1e9:.1f} GB",
        "The embedded models need 2 GB; use other providers, or a bigger machine.",
    )


def models() -> Iterator[Finding]:
    """Report which models are there, and whether there is space for the others."""
    try:
        settings = load(LibrarySettings)
    except SettingsError as error:
        yield judged("models", False, str(error), ".env.example says which values are allowed.")
        return
    store = open_store(settings)
    names = default_models(choose_language_model(settings))
    for name in names:
        yield _model(store, name)
    missing = store.plan(names).total_bytes - store.plan(names).present_bytes
    folder = _existing(settings.cache)
    free = shutil.disk_usage(folder).free
    yield judged(
        "disk",
        free >= missing + _JOURNAL_SPACE,
        f"{free / 1e9:.1f} GB free in {folder}",
        f"Free {(missing + _JOURNAL_SPACE) / 1e9:.1f} GB, or move PARLEY_CACHE elsewhere.",
    )


def _model(store: ModelStore, name: str) -> Finding:
    states = {file.name: store.state(file) for file in store.manifest[name].files}
    wrong = {file: state for file, state in states.items() if state is not FileState.VERIFIED}
    return judged(
        f"model {name}",
        not wrong,
        "verified" if not wrong else ", ".join(f"{file} {state}" for file, state in wrong.items()),
        f"Run: parley models pull {name}",
    )


def _existing(folder: Path) -> Path:
    return folder if folder.exists() else _existing(folder.parent)
