"""The format of persona files, and readable messages for the faults of one.

docs/personas.md describes the format for authors.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationError,
    create_model,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from services.runtime.operator_error import OperatorError
from services.runtime.settings.tables import StrictTable, place_of, rule_of, unknown
from services.speech.listening.rules import ListeningRules
from services.speech.personas import variables
from services.speech.personas.tool_format import (
    ClientToolTable,
    HttpToolTable,
    McpServerTable,
    ToolsTable,
)
from services.speech.provider_settings import EMBEDDED
from services.speech.vendors.registry import SYNTHESIZERS as SYNTHESIZER_VENDORS

SYNTHESIZERS = (EMBEDDED, *SYNTHESIZER_VENDORS)
_WITHOUT_VARIABLES = {
    *("voice", "display_name", "description", "knowledge", "tool_fillers"),
    *("delivery", "hot_words"),
}
LONGEST_S = 3600.0
MOST_HOT_WORDS = 100
_TOOL_TABLES: Mapping[str, type[StrictTable]] = {
    "http": HttpToolTable,
    "mcp": McpServerTable,
    "client": ClientToolTable,
}
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_ID = re.compile(r"[a-z][a-z0-9-]{0,62}")


class Grounding(StrEnum):
    """How much of a model's reply the persona's facts or the dialogue have to support."""

    STRICT = "strict"
    """Every answer to a factual question, and every statement about the venue."""
    NAMES_AND_NUMBERS = "names-and-numbers"
    """Names, numbers, prices, times and dates; the model may explain common knowledge."""
    OFF = "off"
    """Nothing: the model's words are spoken unchecked."""


class PersonaError(OperatorError):
    """A persona file is invalid; each of its `faults` names the file, the field and the rule."""

    def __init__(self, *faults: str) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def _language_code(code: str) -> str:
    if not _LANGUAGE.fullmatch(code):
        raise PydanticCustomError("language", "must be a language code such as en or zh-TW")
    return code


def _by_synthesizer(value: Any) -> dict[str, str]:
    """Return names of vendors by synthesizer; a plain string is the name for all of them."""
    names = value if isinstance(value, dict) else dict.fromkeys(SYNTHESIZERS, value)
    if not names.keys() <= set(SYNTHESIZERS) or not all(
        isinstance(each, str) and each.strip() for each in names.values()
    ):
        raise PydanticCustomError(
            "by_synthesizer",
            "must be a name, or a table with the name for each synthesizer: "
            + ", ".join(SYNTHESIZERS),
        )
    return {str(synthesizer): name.strip() for synthesizer, name in names.items()}


def _variable(name: str) -> str:
    if not variables.NAME.fullmatch(name):
        raise PydanticCustomError(
            "variable",
            "must be a name of up to 32 lower-case letters, digits and underscores, a letter first",
        )
    return name


Text: TypeAlias = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Code: TypeAlias = Annotated[str, AfterValidator(_language_code)]
VariableName: TypeAlias = Annotated[str, AfterValidator(_variable)]
NameBySynthesizer: TypeAlias = Annotated[Mapping[str, str], BeforeValidator(_by_synthesizer)]


class FactTable(StrictTable):
    """One thing that the persona knows."""

    questions: Annotated[list[Text], Field(min_length=1)]
    answer: Text


class DeliveryTable(StrictTable):
    """How the persona speaks, as far as its synthesizer can; styles are the vendor's own names."""

    speed: Annotated[float, Field(ge=0.5, le=2)] = 1.0
    style: NameBySynthesizer = Field(default_factory=dict)
    emotion: NameBySynthesizer = Field(default_factory=dict)


class LanguageTable(StrictTable):
    """The persona in one language."""

    voice: NameBySynthesizer
    prompt: Text
    greeting: Text
    sample_question: Text
    display_name: Text | None = None
    description: Text | None = None
    delivery: DeliveryTable = DeliveryTable()
    hot_words: Annotated[list[Text], Field(max_length=MOST_HOT_WORDS)] = Field(default_factory=list)
    no_speech_prompt: Text | None = None
    hang_up_warning: Text | None = None
    other_language_reply: Text | None = None
    unknown: Text | None = None
    tool_fillers: list[Text] = Field(default_factory=list)
    knowledge: list[FactTable] = Field(default_factory=list)


def _threshold(name: str) -> Any:
    most = 1.0 if name.endswith("_probability") else LONGEST_S
    return Annotated[float, Field(ge=0, le=most)], 0.0


_thresholds: dict[str, Any] = {each.name: _threshold(each.name) for each in fields(ListeningRules)}
ListeningTable = create_model("ListeningTable", __base__=StrictTable, **_thresholds)
"""The thresholds of `ListeningRules` that a persona may set."""


class PersonaTable(StrictTable):
    """A whole file."""

    display_name: Text
    description: Text
    digital_human: Text | None = None
    profile: Text | None = None
    grounding: Annotated[Grounding, Field(strict=False)] = Grounding.STRICT
    languages: Annotated[dict[Code, LanguageTable], Field(min_length=1)]
    listening: ListeningTable | None = None
    tools: ToolsTable | None = None
    variables: dict[VariableName, str] = Field(default_factory=dict)
    greeting_interruptible: bool = True

    @property
    def faults(self) -> Sequence[str]:
        """What is wrong with its use of variables."""
        return [
            f"{place}: uses {{{{{name}}}}}, which [variables] lacks"
            for place, text in self._templates
            for name in variables.names_in([text])
            if name not in self.variables
        ]

    @property
    def _templates(self) -> Iterator[tuple[str, str]]:
        """The texts that may have variables, by their places."""
        for code, language in self.languages.items():
            for field, value in language.model_dump(exclude=_WITHOUT_VARIABLES).items():
                yield f"languages.{code}.{field}", value or ""
        if self.tools is not None:
            for place, text in self.tools.templates:
                yield f"tools.{place}", text

    @property
    def thresholds(self) -> Mapping[str, float]:
        """The thresholds that the file sets."""
        found: Mapping[str, float] = self.model_dump(exclude_unset=True).get("listening", {})
        return found


def read_persona_file(path: Path) -> PersonaTable:
    """Parse a file; raises PersonaError with all of its faults."""
    if not _ID.fullmatch(path.stem):
        raise PersonaError(
            f"{path}: the file name is the persona's id: up to 63 lower-case letters, digits and "
            "hyphens, beginning with a letter"
        )
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PersonaError(f"{path}: not TOML in UTF-8: {error}") from None
    except OSError as error:
        raise PersonaError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        table = PersonaTable.model_validate(content)
    except ValidationError as error:
        raise PersonaError(*(f"{path}: {_fault(each)}" for each in error.errors())) from None
    if table.faults:
        raise PersonaError(*(f"{path}: {fault}" for fault in table.faults))
    return table


def _fault(error: ErrorDetails) -> str:
    is_unknown = error["type"] == "extra_forbidden"
    rule = unknown(_table_of(error["loc"]).model_fields) if is_unknown else rule_of(error)
    return f"{place_of(error['loc'])}: {rule}"


def _table_of(place: Sequence[int | str]) -> type[StrictTable]:
    match place:
        case ["tools", ("http" | "mcp" | "client") as kind, _, _]:
            return _TOOL_TABLES[kind]
        case ["tools", _]:
            return ToolsTable
        case ["languages", _, "knowledge", _, _]:
            return FactTable
        case ["languages", _, "delivery", _]:
            return DeliveryTable
        case ["languages", _, _]:
            return LanguageTable
        case ["listening", _]:
            return ListeningTable
        case _:
            return PersonaTable
