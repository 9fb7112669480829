"""Settings within settings: groups, and choices between groups, each read from its own variables.

A group's variables begin with the name of its field. A choice is a field of a group: one variable
makes it, and the variables of the chosen option begin with the name of that one.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias, get_args

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    ValidationError,
    field_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import (
    CoreSchema,
    ErrorDetails,
    InitErrorDetails,
    PydanticCustomError,
    core_schema,
)

from services.runtime.settings.values import check_text

NONE = "none"
"""Chooses no option, where there may be none."""
_KIND = "kind"

Place: TypeAlias = tuple[str, ...]
"""The names of a setting's groups from the outermost in, then its own."""


class CheckedTexts(BaseModel):
    """Settings whose texts are checked for traces of a bad copy or file."""

    @field_validator("*", mode="before")
    @classmethod
    def _check_text(cls, value: Any) -> Any:
        return check_text(value) if isinstance(value, str) else value


class SettingsGroup(CheckedTexts):
    """Settings that belong together."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Option(SettingsGroup):
    """A group that can be chosen by its `kind`.

    `setting` is what chose it: a variable, or a table of a file such as `chats.main`.
    """

    kind: ClassVar[str]
    setting: str

    @property
    def table(self) -> str:
        """The name of the table that chose it; empty for a variable."""
        return self.setting.partition(".")[2]

    def told(self, field: str) -> str:
        """Return the name under which an operator sets a field."""
        return f"{self.setting}.{field}" if self.table else f"{self.setting}_{field.upper()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """What a setting is read from: the first of its names that is set wins."""

    place: Place
    names: tuple[str, ...]
    annotation: Any
    default: Any
    description: str

    @property
    def is_kind(self) -> bool:
        """Whether it makes a choice."""
        return self.place[-1] == _KIND

    def is_at(self, location: tuple[int | str, ...]) -> bool:
        """Whether an error is about it, by its own name or its variable's."""
        *outer, name = self.place
        depth = len(outer)
        return location[:depth] == tuple(outer) and bool(
            {name, *self.names} & {*location[depth : depth + 1]}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Annotates a field whose type is a union of options, perhaps with None.

    Variables that the chosen option does not read are checked by the first option that reads them,
    so that a mistake is found before it matters.
    """

    variable: str
    default: str
    description: str

    def __get_pydantic_core_schema__(
        self, annotation: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Validate what was read, or take an option as it is."""
        options = _options(annotation)

        def validate(given: Any) -> Option | None:
            is_made = given is None or isinstance(given, Option)
            return given if is_made else self._choose(options, given)

        return core_schema.no_info_plain_validator_function(validate)

    def variables(self, field: FieldInfo, place: Place) -> Iterator[Variable]:
        """Yield the variable of the choice, and those of all its options."""
        options = _options(field.annotation)
        yield Variable(
            place=(*place, _KIND),
            names=(self.variable,),
            annotation=str,
            default=self.default,
            description=f"{self.description}: {', '.join(options)}",
        )
        seen: set[Place] = set()
        for option in filter(None, options.values()):
            for each in variables(option, f"{self.variable}_", place):
                if each.place not in seen and each.place[-1] not in Option.model_fields:
                    seen.add(each.place)
                    yield each

    def _choose(
        self, options: Mapping[str, type[Option] | None], given: Mapping[str, Any]
    ) -> Option | None:
        kind = given[_KIND]
        faults = [] if kind in options else [_unknown(options)]
        chosen = options.get(kind)
        made: Option | None = None
        read: set[str] = set()
        for option in sorted(filter(None, options.values()), key=lambda each: each is not chosen):
            try:
                value = option.model_validate({**given, "setting": self.variable})
            except ValidationError as error:
                faults += [
                    _fault(each["loc"], each["msg"])
                    for each in error.errors()
                    if option is chosen or _is_mistake(each, read)
                ]
            else:
                made = value if option is chosen else made
            read |= {name for each in variables(option, "") for name in (*each.place, *each.names)}
        if faults:
            raise ValidationError.from_exception_data(self.variable, faults)
        return made


def _options(annotation: Any) -> dict[str, type[Option] | None]:
    """Return the options of a union, or the only one, by what chooses them."""
    members = get_args(annotation) or (annotation,)
    none = {NONE: None} if type(None) in members else {}
    return none | {str(each.kind): each for each in members if each is not type(None)}


def _is_mistake(error: ErrorDetails, read: Set[str]) -> bool:
    """Whether an option that is not chosen complains of a value that the others do not read."""
    location = error["loc"]
    return bool(location) and location[0] not in read and error["type"] != "missing"


def _unknown(options: Iterable[str]) -> InitErrorDetails:
    return _fault((_KIND,), f"must be one of {', '.join(map(repr, options))}")


def _fault(location: tuple[int | str, ...], message: str) -> InitErrorDetails:
    error = PydanticCustomError("setting", "{message}", {"message": message})
    return InitErrorDetails(type=error, loc=location, input=None)


def variables(settings_type: type[BaseModel], prefix: str, place: Place = ()) -> Iterator[Variable]:
    """Yield what each setting is read from, those of groups included."""
    for name, field in settings_type.model_fields.items():
        if choice := next((each for each in field.metadata if isinstance(each, Choice)), None):
            yield from choice.variables(field, (*place, name))
        elif group := _group(field):
            yield from variables(group, f"{prefix}{name}_", (*place, name))
        else:
            yield Variable(
                place=(*place, name),
                names=_names(field, f"{prefix}{name}".upper()),
                annotation=field.annotation,
                default=field.get_default(call_default_factory=False),
                description=field.description or "",
            )


def read_group(
    field: FieldInfo, prefix: str, read: Callable[[str], str | None]
) -> dict[str, Any] | None:
    """Return what was read for a group, None for a field that is no group."""
    group = _group(field)
    if group is None:
        return None
    found: dict[Place, str] = {}
    for variable in variables(group, prefix):
        texts = (read(name) for name in variable.names)
        text = next((each for each in texts if each is not None), None)
        if text is not None:
            found[variable.place] = text
        elif variable.is_kind:
            found[variable.place] = variable.default
    return nested(found)


def nested(texts: Mapping[Place, str]) -> dict[str, Any]:
    """Return texts in dictionaries, as the groups are nested."""
    tree: dict[str, Any] = {}
    for place, text in texts.items():
        branch = tree
        for name in place[:-1]:
            branch = branch.setdefault(name, {})
        branch[place[-1]] = text
    return tree


def _group(field: FieldInfo) -> type[SettingsGroup] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, SettingsGroup) else None


def _names(field: FieldInfo, own: str) -> tuple[str, ...]:
    match field.validation_alias:
        case None:
            return (own,)
        case AliasChoices(choices=choices):
            return tuple(str(choice) for choice in choices)
        case alias:
            return (str(alias),)
