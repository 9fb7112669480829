"""Reads a process's settings from the environment, and says all that is wrong with them at once."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import AliasChoices, Field, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

S = TypeVar("S", bound="ProcessSettings")

FILE_SUFFIX = "_FILE"


class ProcessSettings(BaseSettings):
    """What the settings of all processes have in common; each process adds its own."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", populate_by_name=True, env_ignore_empty=True
    )

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info",
        validation_alias="PARLEY_LOG_LEVEL",
        description="what all processes log: debug, info, warning or error",
    )
    log_format: Literal["console", "json"] = Field(
        default="console",
        validation_alias="PARLEY_LOG_FORMAT",
        description="how they log: console for people, json for a collector",
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
        lines = [line for each in error.errors() for line in _lines(settings_type, each)]
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
) -> dict[str, Any]:
    values: dict[str, Any] = {}
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


def _lines(settings_type: type[ProcessSettings], error: ErrorDetails) -> list[str]:
    rule = error["msg"].removeprefix("Value error, ")
    if error["loc"]:
        return [f"{_told_name(settings_type, error['loc'])}: {rule}"]
    # What several settings do wrong together names them itself.
    return rule.split("; ")


def _told_name(settings_type: type[ProcessSettings], location: tuple[int | str, ...]) -> str:
    field = str(location[0])
    return variables(settings_type).get(field, (field.upper(),))[0]
