"""Breaks what language models may read as control tokens: where a text or its author's role ends.

Servers put messages into a model's template and look for control tokens in the whole, so that a
text which holds one could go on in another role. Vendors do not agree on their tokens, and new
models bring new ones. They do agree on their form, a name in brackets without blanks, and no token
has a blank after its first bracket.
"""

import json
from collections.abc import Mapping
from typing import Any

import regex

_NAME_LENGTH = 80
"""Longer than any token's."""

_OPENING = regex.compile(
    rf"""
      [<＜](?=[^\s<>＜＞]{{1,{_NAME_LENGTH}}}[>＞])  # <|im_end|> </s> <｜User｜> <end_of_turn>
    | <(?=<[^\s<>]{{1,{_NAME_LENGTH}}}>>)            # <<SYS>>
    | \[(?=/?[A-Za-z_]{{0,{_NAME_LENGTH}}}[A-Z]{{2}}[A-Z_]{{0,{_NAME_LENGTH}}}\])  # [/INST]
    | ◁(?=/?\w{{1,{_NAME_LENGTH}}}▷)                 # ◁think▷
    """,
    regex.VERBOSE,
)
_BRACKETS = "<＜[◁"
_DESCRIPTIONS = frozenset(("description", "title"))


def without_control_tokens(text: str) -> str:
    """Return a text with a blank in each bracket that could open a control token."""
    if not any(each in text for each in _BRACKETS):
        return text
    return _OPENING.sub(r"\g<0> ", text)


def json_without_control_tokens(text: str) -> str:
    """Return JSON text that is plain also once it is read, whatever escapes it was written with."""
    try:
        value = json.loads(text)
        plain = _plain_value(value)
        return text if plain == value else json.dumps(plain, ensure_ascii=False)
    except (ValueError, RecursionError):
        return without_control_tokens(text)


def _plain_value(value: Any) -> Any:
    match value:
        case str():
            return without_control_tokens(value)
        case dict():
            return {
                without_control_tokens(name): _plain_value(each) for name, each in value.items()
            }
        case list():
            return list(map(_plain_value, value))
        case _:
            return value


def schema_without_control_tokens(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON Schema with plain descriptions; names and values of members stay exact."""
    return {name: _plain_member(name, value) for name, value in schema.items()}


def _plain_member(name: str, value: Any) -> Any:
    match value:
        case str() if name in _DESCRIPTIONS:
            return without_control_tokens(value)
        case Mapping():
            return schema_without_control_tokens(value)
        case list() | tuple():
            return [_plain_member("", each) for each in value]
        case _:
            return value
