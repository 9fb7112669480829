"""Reads a process's settings from the environment, and says all that is wrong with them at once."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import AliasChoices, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.runtime.proxies import ProxyError, proxy_for
from services.runtime.values import check_text

S = TypeVar("S", bound="ProcessSettings")

FILE_SUFFIX = "_FILE"
AUTHORITY_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""Name who vouches for the certificates of others, where the system's own list does not do."""


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

    @field_validator("*", mode="before")
    @classmethod
    def _check_text(cls, value: Any) -> Any:
        return check_text(value) if isinstance(value, str) else value

    def vendor_urls(self) -> tuple[str, ...]:
        """Return what is called beyond our own processes, perhaps through a proxy."""
        return ()


class SettingsError(Exception):
    """Settings are missing or wrong; the message has a line for each."""


def load(settings_type: type[S]) -> S:
    """Return the settings of the environment.

    A variable `NAME_FILE` names a file that holds the value of `NAME`. Raises SettingsError that
    names every variable that is missing or wrong, and the rule that it breaks.
    """
    files = _files(settings_type, os.environ)
    contents: dict[str, Any] = {}
    faults: dict[str, str] = {}
    for field, variable in files.items():
        try:
            contents[field] = Path(os.environ[variable]).read_text(encoding="utf-8-sig").strip()
        except (OSError, UnicodeDecodeError):
            faults[field] = f"{variable}: cannot read the file that it names"
    try:
        settings = settings_type(**contents)
    except ValidationError as error:
        for each in error.errors():
            message = each["msg"].removeprefix("Value error, ")
            if field := _field(settings_type, each["loc"]):
                told = f"{_told_name(settings_type, field, files)}: {message}"
                # Of a file that cannot be read, what is missing is known already.
                faults.setdefault(field, told)
            else:
                # What several settings do wrong together names them itself.
                faults |= {line: line for line in message.split("; ")}
    else:
        faults |= _ways_faults(settings.vendor_urls())
    if faults:
        raise SettingsError("\n".join(faults.values()))
    return settings


def _ways_faults(urls: Iterable[str]) -> dict[str, str]:
    """What of the environment keeps these from being called."""
    faults = {}
    for url in urls:
        try:
            proxy_for(url, os.environ)
        except ProxyError as error:
            faults[str(error)] = str(error)
        for name in AUTHORITY_VARIABLES if url.startswith("https:") else ():
            if (path := os.environ.get(name)) and not os.access(path, os.R_OK):
                faults[name] = f"{name}: cannot read what it names"
    return faults


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


def _files(settings_type: type[ProcessSettings], environment: Mapping[str, str]) -> dict[str, str]:
    """The variable that names a file, of each field that is given by one."""
    found = {}
    for field, names in variables(settings_type).items():
        files = [f"{name}{FILE_SUFFIX}" for name in names]
        given = [each for each in files if environment.get(each)]
        if given and not any(environment.get(name) for name in names):
            found[field] = given[0]
    return found


def _field(settings_type: type[ProcessSettings], location: tuple[int | str, ...]) -> str:
    """The field that an error is about, by its own name or its variable's; "" if about several."""
    found = variables(settings_type)
    return next((field for field in found if {field, *found[field]} & {*location[:1]}), "")


def _told_name(settings_type: type[ProcessSettings], field: str, files: Mapping[str, str]) -> str:
    """The variable that an operator has set, or would set."""
    names = variables(settings_type)[field]
    given = [name for name in names if os.environ.get(name)]
    return files.get(field) or (given or names)[0]
