"""What can be set for each kind of provider, from the settings classes."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from services.runtime.settings.groups import Option
from services.speech.profiles.tables import fields, is_secret
from services.speech.provider_settings import (
    EmbeddedChatSettings,
    EmbeddedRecognizerSettings,
    EmbeddedSynthesizerSettings,
    VendorSettings,
)
from services.speech.vendors.registry import CHATS, RECOGNIZERS, SYNTHESIZERS


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One thing that can be set: by `name` in a table of a file, or by a variable."""

    name: str
    variable: str
    default: str
    description: str
    is_secret: bool
    is_common: bool
    """Whether it is the same for all vendors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderKind:
    """A kind of provider."""

    kind: str
    description: str
    settings: tuple[Setting, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageKinds:
    """The kinds that serve a stage: tables such as `[chats.main]`, or a variable and its own."""

    stage: str
    tables: str
    variable: str
    kinds: tuple[ProviderKind, ...]


def all_kinds() -> Sequence[StageKinds]:
    """Return everything that can be set."""
    return [
        _stage("recognizer", EmbeddedRecognizerSettings, RECOGNIZERS),
        _stage("chat", EmbeddedChatSettings, CHATS),
        _stage("synthesizer", EmbeddedSynthesizerSettings, SYNTHESIZERS),
    ]


def _stage(stage: str, embedded: type[Option], vendors: Mapping[str, Any]) -> StageKinds:
    variable = f"SPEECH_{stage.upper()}"
    options = (embedded, *(each.settings for _, each in sorted(vendors.items())))
    kinds = tuple(
        ProviderKind(
            kind=option.kind,
            description=inspect.cleandoc(option.__doc__ or "").partition("\n\n")[0],
            settings=tuple(_settings(option, variable)),
        )
        for option in options
    )
    return StageKinds(stage=stage, tables=f"{stage}s", variable=variable, kinds=kinds)


def _settings(option: type[Option], variable: str) -> Iterator[Setting]:
    for name, field in fields(option).items():
        yield Setting(
            name=name,
            variable=str(field.validation_alias or f"{variable}_{name.upper()}"),
            default=_shown(field.get_default(call_default_factory=True)),
            description=field.description or "",
            is_secret=is_secret(field),
            is_common=_is_common(name, field),
        )


def _is_common(name: str, field: FieldInfo) -> bool:
    common = VendorSettings.model_fields.get(name)
    return common is not None and common.description == field.description


def _shown(value: Any) -> str:
    """Return a default as an operator would write it; empty for none."""
    match value:
        case None | SecretStr() | BaseModel():
            return ""
        case bool():
            return str(value).lower()
        case Enum():
            return str(value.value)
        case _ if value is PydanticUndefined:
            return ""
        case _:
            return str(value)
