"""The personas: who a digital human is, what it says first, and what it knows."""

import dataclasses
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from services.runtime.errors import ServiceError, refused
from services.runtime.reasons import Reason
from services.speech.listening import ListeningRules

_ID = re.compile(r"[a-z][a-z0-9-]{0,62}")
LONGEST_S = 3600
_NO_SPEECH_PROMPTS = {
    "en": "Are you still there? Take your time.",
    "zh": "您还在吗？不着急，慢慢来。",
}
_HANG_UP_WARNINGS = {
    "en": "I have not heard anything for a while and will hang up in a moment. Just say something.",
    "zh": "好一会儿没有听到您说话，我马上要挂断了。如果您还在，请说句话。",
}
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")


class PersonaError(Exception):
    """A persona file is wrong; the message names the file, the field and the rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One thing that a persona knows: ways to ask for it, and what it answers."""

    questions: tuple[str, ...]
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonaLanguage:
    """A persona in one language."""

    language_code: str
    voice_id: str
    prompt: str
    greeting: str
    sample_question: str
    knowledge: tuple[Fact, ...]
    no_speech_prompt: str = ""
    """What a user is asked who has been silent for long."""
    hang_up_warning: str = ""
    """What a silent user is told before the call ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Persona:
    """Who a digital human is; the preferred language comes first."""

    persona_id: str
    display_name: str
    description: str
    languages: tuple[PersonaLanguage, ...]
    listening: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """Thresholds by the names of `ListeningRules`; those not named are the service's."""

    def speaking(self, language_code: str) -> PersonaLanguage:
        """Return the persona in a language; none given means the preferred one.

        A region that it does not know is ignored. Raises ServiceError for another language.
        """
        if not language_code:
            return self.languages[0]
        wanted = language_code.lower()
        for exact in (True, False):
            for language in self.languages:
                offered = language.language_code.lower()
                if wanted == offered or (not exact and _primary(wanted) == _primary(offered)):
                    return language
        offers = ", ".join(language.language_code for language in self.languages)
        raise refused(
            Reason.LANGUAGE_UNSUPPORTED,
            "language_code",
            "offered",
            f"{self.persona_id} does not speak {language_code}, only {offers}",
            language_code=language_code,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Personas:
    """All personas of a deployment."""

    by_id: Mapping[str, Persona]
    default_id: str

    def get(self, persona_id: str) -> Persona:
        """Return a persona; an empty id means the default one. Raises ServiceError."""
        found = self.by_id.get(persona_id or self.default_id)
        if found is None:
            raise ServiceError(
                Reason.PERSONA_NOT_FOUND,
                f"persona_id: there is no persona {persona_id}",
                persona_id=persona_id,
            )
        return found


def load_personas(folder: Path, *, default_id: str) -> Personas:
    """Read every `*.toml` of a folder; the file's name is the id. Raises PersonaError."""
    paths = sorted(folder.glob("*.toml"))
    if not paths:
        raise PersonaError(f"{folder}: there is no persona file (*.toml)")
    by_id = {path.stem: _load(path) for path in paths}
    if default_id not in by_id:
        raise PersonaError(f"{folder}: the default persona {default_id}.toml is missing")
    return Personas(by_id=MappingProxyType(by_id), default_id=default_id)


def _primary(language_code: str) -> str:
    return language_code.partition("-")[0]


def _load(path: Path) -> Persona:
    if not _ID.fullmatch(path.stem):
        raise PersonaError(f"{path}: the name must be lower-case letters, digits and hyphens")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PersonaError(f"{path}: not TOML in UTF-8: {error}") from None
    table = _Table(str(path), "", content)
    languages = table.table("languages")
    persona = Persona(
        persona_id=path.stem,
        display_name=table.text("display_name"),
        description=table.text("description"),
        languages=tuple(_language(languages, code) for code in languages.content),
        listening=MappingProxyType(_listening(table)),
    )
    if not persona.languages:
        raise languages.error("", "at least one language is needed")
    table.refuse_others("display_name", "description", "languages", "listening")
    return persona


def _listening(persona: "_Table") -> dict[str, float]:
    if "listening" not in persona.content:
        return {}
    table = persona.table("listening")
    table.refuse_others(*(field.name for field in dataclasses.fields(ListeningRules)))
    return {
        name: table.number(name, most=1.0 if name.endswith("_probability") else LONGEST_S)
        for name in table.content
    }


def _language(languages: "_Table", code: str) -> PersonaLanguage:
    if not _LANGUAGE.fullmatch(code):
        raise languages.error(code, "must be a BCP-47 code such as en or zh-TW")
    table = languages.table(code)
    table.refuse_others(
        "voice",
        "prompt",
        "greeting",
        "sample_question",
        "knowledge",
        "no_speech_prompt",
        "hang_up_warning",
    )
    asks = "zh" if code.startswith("zh") else "en"
    return PersonaLanguage(
        language_code=code,
        voice_id=table.text("voice"),
        prompt=table.text("prompt"),
        greeting=table.text("greeting"),
        sample_question=table.text("sample_question"),
        knowledge=tuple(_fact(entry) for entry in table.tables("knowledge")),
        no_speech_prompt=(
            table.text("no_speech_prompt")
            if "no_speech_prompt" in table.content
            else _NO_SPEECH_PROMPTS[asks]
        ),
        hang_up_warning=(
            table.text("hang_up_warning")
            if "hang_up_warning" in table.content
            else _HANG_UP_WARNINGS[asks]
        ),
    )


def _fact(table: "_Table") -> Fact:
    table.refuse_others("questions", "answer")
    return Fact(questions=table.texts("questions"), answer=table.text("answer"))


@dataclass(frozen=True, slots=True)
class _Table:
    """A TOML table that knows where it stands, for errors that say so."""

    file: str
    place: str
    content: Mapping[str, Any]

    def error(self, field: str, rule: str) -> PersonaError:
        return PersonaError(f"{self.file}: {self._path(field)}: {rule}")

    def text(self, field: str) -> str:
        value = self.content.get(field)
        if not isinstance(value, str) or not value.strip():
            raise self.error(field, "a text that is not empty is required")
        return value.strip()

    def number(self, field: str, *, most: float) -> float:
        value = self.content.get(field)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
            raise self.error(field, f"a number from 0 to {most:g} is required")
        return value

    def texts(self, field: str) -> tuple[str, ...]:
        value = self.content.get(field)
        if not (
            isinstance(value, list)
            and value
            and all(isinstance(each, str) and each.strip() for each in value)
        ):
            raise self.error(field, "a list of texts is required")
        return tuple(each.strip() for each in value)

    def table(self, field: str) -> "_Table":
        value = self.content.get(field)
        if not isinstance(value, dict):
            raise self.error(field, "a table is required")
        return _Table(self.file, self._path(field), value)

    def tables(self, field: str) -> tuple["_Table", ...]:
        value = self.content.get(field, [])
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            raise self.error(field, "a list of tables is required")
        return tuple(
            _Table(self.file, f"{self._path(field)}[{index}]", each)
            for index, each in enumerate(value)
        )

    def refuse_others(self, *fields: str) -> None:
        for field in self.content:
            if field not in fields:
                raise self.error(field, f"unknown; known are {', '.join(fields)}")

    def _path(self, field: str) -> str:
        return ".".join(part for part in (self.place, field) if part)
