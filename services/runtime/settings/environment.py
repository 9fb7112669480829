"""Reads a process's settings from the environment, and reports everything wrong at once."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from services.runtime.network.proxies import ProxyError, proxy_for
from services.runtime.settings import groups
from services.runtime.settings.groups import CheckedTexts, Place, Variable, nested, read_group
from services.runtime.settings.values import Host

S = TypeVar("S", bound="ProcessSettings")

FILE_SUFFIX = "_FILE"
_REMEDY = "Correct it in .env or the environment; .env.example tells of every setting."
AUTHORITY_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""Name the certificate authorities to trust instead of the system's."""


class _Environment(EnvSettingsSource):
    """The environment, from which groups are read as well."""

    def prepare_field_value(
        self, field_name: str, field: FieldInfo, value: Any, value_is_complex: bool
    ) -> Any:
        """Return what the environment says of a field, None for nothing."""
        group = read_group(
            field, f"{self.env_prefix}{field_name}_", lambda name: self.env_vars.get(name.lower())
        )
        if group is not None:
            return group
        return super().prepare_field_value(field_name, field, value, value_is_complex)


class ProcessSettings(CheckedTexts, BaseSettings):
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
        description="log format: console for people, json for a collector",
    )
    metrics_host: Host = Field(
        default="127.0.0.1",
        validation_alias="PARLEY_METRICS_HOST",
        description="address at which processes show metrics on their ports for them; they show"
        " whoever can reach it",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read what is given in code, then the environment."""
        return init_settings, _Environment(settings_cls)

    def vendor_urls(self) -> tuple[str, ...]:
        """Return the URLs outside our own processes, which may need a proxy."""
        return ()


class SettingsError(Exception):
    """Settings are missing or wrong; the message has a line for each."""

    def __init__(self, message: str, *, remedy: str = _REMEDY) -> None:
        super().__init__(message)
        self.remedy = remedy
        """What an operator has to do."""


def load(settings_type: type[S]) -> S:
    """Return the settings of the environment.

    A variable `NAME_FILE` names a file that contains the value of `NAME`. Raises SettingsError,
    which names every missing or invalid variable and the rule that it violates.
    """
    known = tuple(variables(settings_type))
    contents: dict[Place, str] = {}
    faults: dict[str, str] = {}
    for variable in known:
        if file := _file(variable):
            try:
                text = Path(os.environ[file]).read_text(encoding="utf-8-sig").strip()
            except (OSError, UnicodeDecodeError):
                faults[file] = f"{file}: cannot read the file that it names"
            else:
                contents[variable.place] = text
    try:
        settings = settings_type(**nested(contents))
    except ValidationError as error:
        for each in error.errors():
            message = each["msg"].removeprefix("Value error, ")
            if found := next((it for it in known if it.is_at(each["loc"])), None):
                name = _told_name(found)
                # For a file that cannot be read, it is already known what is missing.
                faults.setdefault(name, f"{name}: {message}")
            else:
                # An error about several settings names them itself.
                faults |= {line: line for line in message.split("; ")}
    else:
        faults |= _ways_faults(settings.vendor_urls())
    if faults:
        raise SettingsError("\n".join(faults.values()))
    return settings


def require_ways(urls: Iterable[str]) -> None:
    """Raise SettingsError for what in the environment prevents calls of these URLs."""
    if faults := _ways_faults(urls):
        raise SettingsError("\n".join(faults.values()))


def _ways_faults(urls: Iterable[str]) -> dict[str, str]:
    """Return what in the environment prevents these calls."""
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


def variables(settings_type: type[BaseSettings]) -> Iterator[Variable]:
    """Yield what each setting is read from."""
    return groups.variables(settings_type, settings_type.model_config.get("env_prefix", ""))


def _file(variable: Variable) -> str:
    """Return the variable that names a file with the value; "" if the value is not given by one."""
    if any(os.environ.get(name) for name in variable.names):
        return ""
    files = (f"{name}{FILE_SUFFIX}" for name in variable.names)
    return next((each for each in files if os.environ.get(each)), "")


def _told_name(variable: Variable) -> str:
    """Return the variable that an operator has set, or would set."""
    given = [name for name in variable.names if os.environ.get(name)]
    return _file(variable) or (given or variable.names)[0]
