"""Readable messages for what is wrong with the tables of a TOML file, without its values."""

from collections.abc import Iterable, Sequence

from pydantic import BaseModel, ConfigDict
from pydantic_core import ErrorDetails

_RULES = {
    "missing": "is required",
    "string_type": "must be a quoted string",
    "string_too_short": "must not be empty",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "bool_type": "must be true or false",
    "too_short": "must have at least one entry",
    "float_type": "must be a number",
    "int_type": "must be a whole number",
    "float_parsing": "must be a number",
    "int_parsing": "must be a whole number",
    "finite_number": "must be a number",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than_equal": "must be at most {le:g}",
    "enum": "must be one of {expected}",
}


class StrictTable(BaseModel):
    """A table whose fields are all known, each of exactly its type."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


def place_of(location: Sequence[int | str]) -> str:
    """Return where an error is: `languages.en.knowledge[0].answer`."""
    place = ""
    for part in location:
        if isinstance(part, int):
            place += f"[{part}]"
        elif part != "[key]":
            place += f".{part}" if place else part
    return place


def rule_of(error: ErrorDetails) -> str:
    """Return the rule that an error is about."""
    rule = _RULES.get(error["type"])
    if rule is not None:
        return rule.format(**error.get("ctx", {}))
    return error["msg"].removeprefix("Value error, ")


def unknown(fields: Iterable[str]) -> str:
    """Return the rule that a field violates which is none of these."""
    return f"is unknown; expected one of {', '.join(fields)}"
