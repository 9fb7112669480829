"""Reads a process's settings from the environment, and says all that is wrong with them at once."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import AliasChoices, ValidationError
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
    try:
        return settings_type(**_from_files(settings_type, os.environ))
    except ValidationError as error:
        lines = [
            f"{_told_name(settings_type, each['loc'])}: {each['msg']}" for each in error.errors()
        ]
        raise SettingsError("\n".join(lines)) from None


def variables(settings_type: type[ProcessSettings]) -> dict[str, tuple[str, ...]]:
    """Return the variables that each field is read from, the first one that is set winning."""
    prefix = settings_type.model_config.get("env_prefix", "")
    found: dict[str, tuple[str, ...]] = {}
    for name, field in settings_type.model_fields.items():
        match field.validation_alias:
            case None:
                found[name] = (f"{prefix}{name}".upper(),)
            case AliasChoices(choices=choices):
                found[name] = tuple(str(choice) for choice in choices)
            case alias:
                found[name] = (str(alias),)
    return found


def _from_files(
    settings_type: type[ProcessSettings], environment: Mapping[str, str]
) -> dict[str, str]:
    values = {}
    for field, names in variables(settings_type).items():
        files = [
            f"{name}{FILE_SUFFIX}" for name in names if environment.get(f"{name}{FILE_SUFFIX}")
        ]
        if files and not any(environment.get(name) for name in names):
            values[field] = _content(files[0], environment)
    return values


def _content(variable: str, environment: Mapping[str, str]) -> str:
    try:
        return Path(environment[variable]).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise SettingsError(f"{variable}: cannot read the file that it names") from None


def _told_name(settings_type: type[ProcessSettings], location: tuple[int | str, ...]) -> str:
    field = str(location[0]) if location else "settings"
    return variables(settings_type).get(field, (field.upper(),))[0]
