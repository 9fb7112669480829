"""Writes .env.example, every setting of every process, from the settings classes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic_settings import BaseSettings

from engine.settings import EngineSettings
from gateway.settings import GatewaySettings
from services.avatar.settings import AvatarSettings
from services.runtime.settings import variables as read_variables
from services.speech.embedded.library import LibrarySettings
from services.speech.settings import SpeechSettings
from services.task.settings import TaskSettings

EXAMPLE = Path(__file__).resolve().parent.parent / ".env.example"

SECTIONS: tuple[tuple[str, type[BaseSettings]], ...] = (
    ("The avatar service: the account at the cloud, and how it is used", AvatarSettings),
    ("The gateway", GatewaySettings),
    ("The speech service", SpeechSettings),
    ("The embedded models", LibrarySettings),
    ("The task service", TaskSettings),
    ("The engine, which stands in for the cloud when there is no APP_ID", EngineSettings),
)

_HEAD = """\
# Settings of all processes. Copy this file to .env and take the # from what you change; what is
# set in the environment goes before it. The value shown is the default. Every secret may also be
# given as the path of a file that holds it, in a variable with _FILE at the end of its name.
#
# To use the real digital-human cloud, set APP_ID and SERVER_SECRET.
#
# Made by `make docs` from the settings classes.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """One variable of the environment."""

    name: str
    default: str
    description: str


def variables(settings: type[BaseSettings]) -> Iterator[Variable]:
    """The variables that a settings class reads, under the names that people are told."""
    for each in read_variables(settings):
        yield Variable(
            name=each.names[-1],
            default=_text(each.default),
            description=each.description[:1].upper() + each.description[1:],
        )


def example() -> str:
    """The text of the file; a variable of several processes is listed with the first."""
    lines = [_HEAD]
    listed: set[str] = set()
    for title, settings in SECTIONS:
        lines.append(f"\n# --- {title} ---\n")
        for variable in variables(settings):
            if variable.name not in listed:
                listed.add(variable.name)
                lines.append(f"\n# {variable.description}\n" if variable.description else "\n")
                lines.append(f"#{variable.name}={variable.default}\n")
    return "".join(lines)


def _text(value: Any) -> str:
    match value:
        case None | SecretStr():
            return ""
        case bool():
            return str(value).lower()
        case Enum():
            return str(value.value)
        case str() | int() | float():
            return str(value)
        case Path():
            return "" if value.is_absolute() else str(value)
        case Sequence():
            return ",".join(map(_text, value))
        case _:
            # PydanticUndefined: it must be set.
            return ""


if __name__ == "__main__":
    EXAMPLE.write_text(example(), encoding="utf-8")
