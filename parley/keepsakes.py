"""The secrets that the processes of this checkout share, made once and kept for later runs."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import dotenv

from parley.plan import VAR, complete

KEPT = VAR / "secrets.env"
# What is made together is also given together: one given by the operator makes up for all.
_GROUPS = (
    ("PARLEY_SERVICE_TOKEN",),
    ("ENGINE_APP_ID",),
    ("ENGINE_SERVER_SECRET",),
    ("CALLBACK_SECRET", "ENGINE_CALLBACK_SECRET"),
)


def complete_with_kept(environment: Mapping[str, str], path: Path = KEPT) -> dict[str, str]:
    """Return the environment of the processes, with the secrets of earlier runs.

    The file can be read by its owner alone; without it, or with a part of it, it is made anew.
    Raises PlanError when a setting makes no sense, and OSError when it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    completed = complete(environment, folder=path.parent)
    made = {
        name: completed[name]
        for group in _GROUPS
        if not _is_given(group, environment)
        for name in group
        if name in completed
    }
    kept = {name: value for name, value in dotenv.dotenv_values(path).items() if value}
    made |= {name: kept[name] for name in made if name in kept}
    if not made.items() <= kept.items():
        _write(path, kept | made)
    return completed | made


def _is_given(group: tuple[str, ...], environment: Mapping[str, str]) -> bool:
    return any(environment.get(name) or environment.get(f"{name}_FILE") for name in group)


def _write(path: Path, values: Mapping[str, str]) -> None:
    # Such a file is for its owner alone from its first moment, and appears whole.
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        file.write("# Made by `parley up` and `parley env`; delete it to have others made.\n")
        file.writelines(f"{name}={value}\n" for name, value in values.items())
    os.replace(file.name, path)
