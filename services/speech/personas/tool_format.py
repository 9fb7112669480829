"""The format of the tools in persona files."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Self, TypeAlias

from pydantic import (
    AfterValidator,
    Field,
    StringConstraints,
    model_validator,
)
from pydantic_core import PydanticCustomError

from services.runtime.json_schema import schema_fault
from services.runtime.settings.tables import StrictTable
from services.runtime.settings.values import check_url
from services.speech.personas.variables import stand_in

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


def _url_template(template: str) -> str:
    # What a call says chooses what is asked for, and never who is asked.
    before, braces, _ = template.partition("{{")
    if braces and before.count("/") < 3:
        raise PydanticCustomError("url_variable", "may have variables in its path only")
    _url(stand_in(template, "x"))
    return template.rstrip("/")


def _constant(text: str) -> str:
    if "{{" in text:
        raise PydanticCustomError(
            "constant",
            "must be without variables: there is one connection for all calls; use arguments",
        )
    return text


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
Url: TypeAlias = Annotated[str, AfterValidator(_constant), AfterValidator(_url)]
UrlTemplate: TypeAlias = Annotated[str, AfterValidator(_url_template)]
Constant: TypeAlias = Annotated[Text, AfterValidator(_constant)]
FixedArgument: TypeAlias = str | bool | int | float
"""A text may have variables."""


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
    """An HTTP endpoint; `secret_headers` are read from environment variables.

    The texts of `url`, `headers` and `arguments` may have variables of the persona.
    """

    url: UrlTemplate
    method: Annotated[str, AfterValidator(_method)] = "POST"
    headers: Mapping[str, Text] = Field(default_factory=dict)
    secret_headers: Mapping[str, VariableName] = Field(default_factory=dict)
    arguments: Mapping[str, FixedArgument] = Field(default_factory=dict)
    """Sent with those that the model chooses; it is not told of them."""

    @model_validator(mode="after")
    def _check_arguments(self) -> Self:
        for name in self.arguments.keys() & self.parameters.get("properties", {}).keys():
            raise PydanticCustomError(
                "argument", "has {name} both in arguments and in parameters", {"name": name}
            )
        return self

    @property
    def templates(self) -> Iterator[tuple[str, str]]:
        """The texts that may have variables, by their places."""
        yield "url", self.url
        for name, header in self.headers.items():
            yield f"headers.{name}", header
        yield from _texts_of(self.arguments)


class ClientToolTable(_DeclaredTool):
    """A function of the app."""


class McpServerTable(_ToolTable):
    """An MCP server at a URL, or one that is started with a command."""

    name: ToolName
    url: Url | None = None
    command: Annotated[list[Text], Field(min_length=1)] | None = None
    headers: Mapping[str, Constant] = Field(default_factory=dict)
    secret_headers: Mapping[str, VariableName] = Field(default_factory=dict)
    arguments: Mapping[str, FixedArgument] = Field(default_factory=dict)
    """Sent to the tools that have parameters of these names; the model is not told of them. The
    texts may have variables of the persona."""
    environment: list[VariableName] = Field(default_factory=list)
    """The environment variables that the program gets."""
    allow: Annotated[list[Text], Field(min_length=1)] | None = None
    """The tools that may be called; absent: all."""

    @model_validator(mode="after")
    def _check_place(self) -> Self:
        if (self.url is None) == (self.command is None):
            raise PydanticCustomError("place", "must have either a url or a command")
        return self

    @property
    def templates(self) -> Iterator[tuple[str, str]]:
        """The texts that may have variables, by their places."""
        yield from _texts_of(self.arguments)


def _texts_of(arguments: Mapping[str, FixedArgument]) -> Iterator[tuple[str, str]]:
    for name, value in arguments.items():
        if isinstance(value, str):
            yield f"arguments.{name}", value


class ToolsTable(StrictTable):
    """The tools of a persona, and what is done while one takes long."""

    http: list[HttpToolTable] = Field(default_factory=list)
    mcp: list[McpServerTable] = Field(default_factory=list)
    client: list[ClientToolTable] = Field(default_factory=list)
    filler_after_s: Annotated[float, Field(ge=0.2, le=60)] = 1.5
    """Seconds of a call after which a filler is said."""
    gesture: Text | None = None
    """A gesture of the digital human, made with each filler."""

    @property
    def templates(self) -> Iterator[tuple[str, str]]:
        """The texts that may have variables, by their places."""
        for at, http in enumerate(self.http):
            for place, text in http.templates:
                yield f"http[{at}].{place}", text
        for at, mcp in enumerate(self.mcp):
            for place, text in mcp.templates:
                yield f"mcp[{at}].{place}", text
