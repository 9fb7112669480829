"""The format of the tools in persona files."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Self, TypeAlias

from pydantic import (
    AfterValidator,
    Field,
    StringConstraints,
    model_validator,
)
from pydantic_core import PydanticCustomError

from services.runtime.tables import StrictTable
from services.runtime.values import check_url
from services.speech.json_schema import schema_fault

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def _name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise PydanticCustomError(
            "tool_name", "must be up to 64 letters, digits, _ and -, beginning with a letter"
        )
    return name


def _variable(name: str) -> str:
    if not _VARIABLE.fullmatch(name):
        raise PydanticCustomError("variable", "must be the name of an environment variable")
    return name


def _url(url: str) -> str:
    try:
        return check_url(url, "http", "https")
    except ValueError as error:
        raise PydanticCustomError("url", "{rule}", {"rule": str(error)}) from None


def _schema(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    if fault := schema_fault(schema):
        raise PydanticCustomError("schema", "{fault}", {"fault": fault})
    return schema


def _method(method: str) -> str:
    if method not in _METHODS:
        raise PydanticCustomError("method", "must be one of {}".format(", ".join(_METHODS)))
    return method


Text: TypeAlias = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
ToolName: TypeAlias = Annotated[str, AfterValidator(_name)]
VariableName: TypeAlias = Annotated[str, AfterValidator(_variable)]
Url: TypeAlias = Annotated[str, AfterValidator(_url)]


class _ToolTable(StrictTable):
    timeout_s: Annotated[float, Field(ge=0.1, le=300)] = 20.0
    result_characters: Annotated[int, Field(ge=1, le=20_000)] = 4_000


class _DeclaredTool(_ToolTable):
    """A tool that the file itself describes; `parameters` is a JSON Schema."""

    name: ToolName
    description: Text
    parameters: Annotated[Mapping[str, Any], AfterValidator(_schema)] = Field(
        default_factory=lambda: {"type": "object", "properties": {}}
    )


class HttpToolTable(_DeclaredTool):
    """An HTTP endpoint; `secret_headers` are read from environment variables."""

    url: Url
    method: Annotated[str, AfterValidator(_method)] = "POST"
    headers: Mapping[str, Text] = Field(default_factory=dict)
    secret_headers: Mapping[str, VariableName] = Field(default_factory=dict)


class ClientToolTable(_DeclaredTool):
    """A function of the app."""


class McpServerTable(_ToolTable):
    """An MCP server at a URL, or one that is started with a command."""

    name: ToolName
    url: Url | None = None
    command: Annotated[list[Text], Field(min_length=1)] | None = None
    headers: Mapping[str, Text] = Field(default_factory=dict)
    secret_headers: Mapping[str, VariableName] = Field(default_factory=dict)
    environment: list[VariableName] = Field(default_factory=list)
    """The environment variables that the program gets."""
    allow: Annotated[list[Text], Field(min_length=1)] | None = None
    """The tools that may be called; absent: all."""

    @model_validator(mode="after")
    def _check_place(self) -> Self:
        if (self.url is None) == (self.command is None):
            raise PydanticCustomError("place", "must have either a url or a command")
        return self


class ToolsTable(StrictTable):
    """The tools of a persona, and what is done while one takes long."""

    http: list[HttpToolTable] = Field(default_factory=list)
    mcp: list[McpServerTable] = Field(default_factory=list)
    client: list[ClientToolTable] = Field(default_factory=list)
    filler_after_s: Annotated[float, Field(ge=0.2, le=60)] = 1.5
    """Seconds of a call after which a filler is said."""
    gesture: Text | None = None
    """A gesture of the digital human, made with each filler."""
