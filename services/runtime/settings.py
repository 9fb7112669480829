"""Reads a process's settings from the environment, and says all that is wrong with them at once."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

S = TypeVar("S", bound="ProcessSettings")

FILE_SUFFIX = "_FILE"


class ProcessSettings(BaseSettings):
    """What the settings of all processes have in common; each process adds its own."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", populate_by_name=True, env_ignore_empty=True
    )


class SettingsError(Exception):
    """Settings are missing or wrong; the message has a line for each."""


def load(settings_type: type[S]) -> S:
    """Return the settings of the environment.

    A variable `NAME_FILE` names a file that holds the value of `NAME`. Raises SettingsError that
    names every variable that is missing or wrong, and what was expected.
    """
    _take_files(os.environ)
    try:
        return settings_type()
    except ValidationError as error:
        lines = [
            f"{_variable(settings_type, tuple(each['loc']))}: {each['msg']}"
            for each in error.errors()
        ]
        raise SettingsError("\n".join(lines)) from None


def _take_files(environment: Mapping[str, str]) -> None:
    for name, path in list(environment.items()):
        value_name = name.removesuffix(FILE_SUFFIX)
        if value_name != name and value_name and value_name not in environment and path:
            try:
                os.environ[value_name] = Path(path).read_text().strip()
            except OSError:
                raise SettingsError(f"{name}: cannot read the file that it names") from None


def _variable(settings_type: type[ProcessSettings], location: tuple[int | str, ...]) -> str:
    field = str(location[0]) if location else "settings"
    prefix = settings_type.model_config.get("env_prefix", "")
    known = settings_type.model_fields.get(field.lower())
    return f"{prefix}{field}".upper() if known and not known.validation_alias else field.upper()
