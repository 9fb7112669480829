"""Reads a file of providers and profiles; docs/providers.md describes it for operators."""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeAlias, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_core import PydanticCustomError

from services.runtime.settings.environment import SettingsError
from services.runtime.settings.groups import Option
from services.runtime.settings.tables import StrictTable, place_of, rule_of, unknown
from services.speech.profiles.profile import Chain, Profile, Profiles
from services.speech.profiles.tables import ProviderTables
from services.speech.provider_settings import (
    EMBEDDED,
    EmbeddedChatSettings,
    EmbeddedRecognizerSettings,
    EmbeddedSynthesizerSettings,
)
from services.speech.settings import (
    CHAT_FIRST_BYTE_S,
    RECOGNITION_FIRST_BYTE_S,
    SYNTHESIS_FIRST_BYTE_S,
    ChatProvider,
    Patience,
    RecognizerProvider,
    SynthesizerProvider,
    repeated,
)
from services.speech.vendors.registry import CHATS, RECOGNIZERS, SYNTHESIZERS

P = TypeVar("P", bound=Option)

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


def _check_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise PydanticCustomError(
            "name", "must be up to 63 lower-case letters, digits, hyphens and underscores"
        )
    return name


def _listed(value: Any) -> Any:
    """Return several names for a list, or for the name of one provider."""
    match value:
        case str():
            return (value,)
        case list():
            return tuple(value)
        case _:
            return value


_Name: TypeAlias = Annotated[str, AfterValidator(_check_name)]
_Names: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(_listed), Field(min_length=1)]
_Tables: TypeAlias = dict[_Name, dict[str, Any]]


class ProfileTable(StrictTable):
    """Who serves each stage, in the order in which they are asked."""

    recognizer: _Names = (EMBEDDED,)
    chat: _Names = (EMBEDDED,)
    synthesizer: _Names = (EMBEDDED,)
    recognizer_first_byte_s: Patience = RECOGNITION_FIRST_BYTE_S
    chat_first_byte_s: Patience = CHAT_FIRST_BYTE_S
    synthesizer_first_byte_s: Patience = SYNTHESIS_FIRST_BYTE_S
    voices: dict[str, dict[str, str]] = Field(default_factory=dict)


class FileTable(StrictTable):
    """A whole file."""

    default_profile: str | None = None
    recognizers: _Tables = Field(default_factory=dict)
    chats: _Tables = Field(default_factory=dict)
    synthesizers: _Tables = Field(default_factory=dict)
    profiles: Annotated[dict[_Name, ProfileTable], Field(min_length=1)]


def read_providers_file(path: Path, environment: Mapping[str, str]) -> Profiles:
    """Parse a file; raises SettingsError with all of its faults, none of which shows a value."""
    return _File(path, _content(path), environment).read()


def _content(path: Path) -> FileTable:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        place = re.search(r"\(at .*\)$", str(error))
        where = f" {place[0]}" if place else ""
        raise _faulty(f"{path}: must be TOML in UTF-8{where}") from None
    except OSError as error:
        raise _faulty(f"{path}: cannot be read: {error.strerror}") from None
    try:
        return FileTable.model_validate(content)
    except ValidationError as error:
        faults = []
        for each in error.errors():
            table = ProfileTable if len(each["loc"]) > 1 else FileTable
            is_unknown = each["type"] == "extra_forbidden"
            rule = unknown(table.model_fields) if is_unknown else rule_of(each)
            faults.append(f"{path}: {place_of(each['loc'])}: {rule}")
        raise _faulty("\n".join(faults)) from None


class _File:
    """A file that is being read."""

    def __init__(self, path: Path, content: FileTable, environment: Mapping[str, str]) -> None:
        self._path = path
        self._content = content
        self._environment = environment
        self._faults: list[str] = []

    def read(self) -> Profiles:
        """Return its profiles; raises SettingsError."""
        content = self._content
        recognizers: Mapping[str, RecognizerProvider] = self._providers(
            "recognizers", EmbeddedRecognizerSettings, RECOGNIZERS, content.recognizers
        )
        chats: Mapping[str, ChatProvider] = self._providers(
            "chats", EmbeddedChatSettings, CHATS, content.chats
        )
        synthesizers: Mapping[str, SynthesizerProvider] = self._providers(
            "synthesizers", EmbeddedSynthesizerSettings, SYNTHESIZERS, content.synthesizers
        )
        self._end_if_faulty()
        by_name = {}
        for name, table in content.profiles.items():
            place = f"profiles.{name}"
            by_name[name] = Profile(
                name=name,
                recognizer=Chain(
                    providers=self._chain(f"{place}.recognizer", table.recognizer, recognizers),
                    first_byte_s=table.recognizer_first_byte_s,
                ),
                chat=Chain(
                    providers=self._chain(f"{place}.chat", table.chat, chats),
                    first_byte_s=table.chat_first_byte_s,
                ),
                synthesizer=Chain(
                    providers=self._chain(f"{place}.synthesizer", table.synthesizer, synthesizers),
                    first_byte_s=table.synthesizer_first_byte_s,
                ),
                voices=dict(self._voices(f"{place}.voices", table)),
            )
        default = self._default()
        self._end_if_faulty()
        return Profiles(by_name=by_name, default_name=default)

    def _providers(
        self,
        stage: str,
        embedded: type[Option],
        vendors: Mapping[str, Any],
        tables: Mapping[str, Mapping[str, Any]],
    ) -> dict[str, Any]:
        """Return the providers of a stage by name; the embedded one needs no table."""
        options = {EMBEDDED: embedded} | {kind: each.settings for kind, each in vendors.items()}
        reader: ProviderTables[Option] = ProviderTables(
            stage, options, folder=self._path.parent, environment=self._environment
        )
        named = {EMBEDDED: {"kind": EMBEDDED}, **tables}
        found = {name: reader.read(name, table) for name, table in named.items()}
        self._faults += reader.faults
        return found

    def _chain(self, place: str, names: Sequence[str], providers: Mapping[str, P]) -> tuple[P, ...]:
        """Return the providers that a profile names."""
        missing = [at for at, name in enumerate(names) if name not in providers]
        for at in missing:
            self._faults.append(f"{place}[{at}]: must be one of {', '.join(providers)}")
        if len(set(names)) < len(names):
            self._faults.append(f"{place}: must name each provider once")
        if missing or len(set(names)) < len(names):
            return ()
        chain = tuple(providers[name] for name in names)
        self._faults += (f"{place}: {fault}" for fault in repeated(chain))
        return chain

    def _voices(self, place: str, table: ProfileTable) -> Iterator[tuple[str, Mapping[str, str]]]:
        for name, pairs in table.voices.items():
            if name not in table.synthesizer[1:]:
                self._faults.append(
                    f"{place}.{name}: must be a synthesizer that the profile names after the first"
                )
            yield f"synthesizers.{name}", pairs

    def _default(self) -> str:
        """Return the name of the default profile."""
        names = tuple(self._content.profiles)
        default = self._content.default_profile
        if default is None and len(names) > 1:
            self._faults.append("default_profile: is required, as there are several profiles")
        elif default is not None and default not in names:
            self._faults.append(f"default_profile: must be one of {', '.join(names)}")
        return default or names[0]

    def _end_if_faulty(self) -> None:
        if self._faults:
            raise _faulty("\n".join(_lines(self._path, self._faults)))


def _lines(path: Path, faults: Iterable[str]) -> Iterator[str]:
    for fault in faults:
        yield from (f"{path}: {line}" for line in fault.splitlines())


def _faulty(message: str) -> SettingsError:
    return SettingsError(
        message,
        remedy="Correct the file that SPEECH_PROVIDERS names; docs/providers.md describes it.",
    )
