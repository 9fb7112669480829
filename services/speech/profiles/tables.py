"""A provider's table in a file, as the same settings that are read from the environment."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar, get_args

from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo

from services.runtime.settings.environment import FILE_SUFFIX
from services.runtime.settings.groups import Option
from services.runtime.settings.tables import place_of, rule_of, unknown

P = TypeVar("P", bound=Option)

KIND = "kind"
_FILE = "_file"
_VARIABLE = "_variable"


class ProviderTables(Generic[P]):
    """Reads the tables of one stage, such as `[chats.main]`, and collects what is wrong."""

    def __init__(
        self,
        stage: str,
        options: Mapping[str, type[P]],
        *,
        folder: Path,
        environment: Mapping[str, str],
    ) -> None:
        self.faults: list[str] = []
        self._stage = stage
        self._options = options
        self._folder = folder
        self._environment = environment

    def read(self, name: str, table: Mapping[str, Any]) -> P | None:
        """Return a provider; None if its table has faults."""
        place = f"{self._stage}.{name}"
        option = self._options.get(str(table.get(KIND)))
        if option is None:
            kinds = ", ".join(map(repr, self._options))
            self.faults.append(f"{place}.{KIND}: must be one of {kinds}")
            return None
        before = len(self.faults)
        values = dict(self._values(place, table, option))
        try:
            provider = option.model_validate({**values, "setting": place})
        except ValidationError as error:
            names = {str(each.validation_alias): name for name, each in fields(option).items()}
            for each in error.errors():
                first, *rest = each["loc"] or ("",)
                where = place_of((place, names.get(str(first), first), *rest))
                rule = rule_of(each)
                # An error about several fields names them itself.
                self.faults.append(f"{where}: {rule}" if first else rule)
            return None
        return provider if len(self.faults) == before else None

    def _values(
        self, place: str, table: Mapping[str, Any], option: type[Option]
    ) -> Iterator[tuple[str, Any]]:
        known = fields(option)
        for name, value in table.items():
            if name in known:
                yield name, self._given(f"{place}.{name}", value)
            elif (secret := _secret_of(name, known)) is not None:
                yield secret, self._looked_up(f"{place}.{name}", name, value)
                if secret in table:
                    self.faults.append(f"{place}.{name}: must not be set beside {secret}")
            elif name != KIND:
                self.faults.append(f"{place}.{name}: {unknown((KIND, *named_fields(option)))}")
        for name, variable in _shared(option).items():
            value = self._environment.get(variable)
            if not value and (path := self._environment.get(variable + FILE_SUFFIX)):
                value = self._read(f"{variable}{FILE_SUFFIX}", path)
            if value:
                yield name, value

    def _given(self, place: str, value: Any) -> Any:
        """Return a value; a list of names is as one text in the environment."""
        if not isinstance(value, list):
            return value
        if not all(isinstance(each, str) and "," not in each for each in value):
            self.faults.append(f"{place}: must be a list of texts without commas")
            return ""
        return ",".join(value)

    def _looked_up(self, place: str, name: str, value: Any) -> str:
        """Return the secret that a file or a variable holds."""
        if not isinstance(value, str):
            self.faults.append(f"{place}: must be a quoted string")
        elif name.endswith(_FILE):
            return self._read(place, value)
        elif found := self._environment.get(value):
            return found
        else:
            self.faults.append(f"{place}: the variable that it names is not set")
        return "unknown"

    def _read(self, place: str, path: str) -> str:
        try:
            return (self._folder / path).read_text(encoding="utf-8-sig").strip()
        except (OSError, UnicodeDecodeError, ValueError):
            self.faults.append(f"{place}: cannot read the file that it names")
            return "unknown"


def fields(option: type[Option]) -> Mapping[str, FieldInfo]:
    """Return the fields that a table may set."""
    shared = _shared(option)
    return {
        name: field
        for name, field in option.model_fields.items()
        if name not in Option.model_fields and name not in shared
    }


def named_fields(option: type[Option]) -> Iterator[str]:
    """Yield the names that a table may have, those that look a secret up included."""
    for name, field in fields(option).items():
        yield name
        if is_secret(field):
            yield f"{name}{_FILE}"
            yield f"{name}{_VARIABLE}"


def is_secret(field: FieldInfo) -> bool:
    """Whether a field holds a secret."""

    def holds(annotation: Any) -> bool:
        return annotation is SecretStr or any(map(holds, get_args(annotation)))

    return holds(field.annotation)


def _secret_of(name: str, known: Mapping[str, FieldInfo]) -> str | None:
    for suffix in (_FILE, _VARIABLE):
        secret = name.removesuffix(suffix)
        if secret != name and secret in known and is_secret(known[secret]):
            return secret
    return None


def _shared(option: type[Option]) -> Mapping[str, str]:
    """Return the fields that all providers read from one variable, which is no vendor's alone."""
    return {
        name: str(field.validation_alias)
        for name, field in option.model_fields.items()
        if field.validation_alias and not str(field.validation_alias).startswith("SPEECH_")
    }
