"""Tool calls that a model writes into its text, where its server does not tell them from it.

Small models do so behind servers such as llama.cpp's: a document with the name of the tool and its
arguments, alone, in a list, in a tag or in a code block.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import regex

from services.speech.vendors.chat.calls import CallDelta, call_deltas
from services.speech.vendors.chat.markup import CALL_TAG

LONGEST = 8_000
"""Characters of calls that are read."""

_DECODER = json.JSONDecoder()
_WRAPPERS = ("tool_calls", "tool_call", "function_call")
_BARE = regex.compile(r"(?:```(?:json)?\s*)?(?:functools)?\[?\{", regex.IGNORECASE)
"""How calls begin without a tag or a token: so does the example of a call."""
_BETWEEN = regex.compile(
    rf"""(?: [^\w<&{{]
           | (?:json|functools|tool_(?:code|calls?))\b
           | (?:<|&lt;)/?{CALL_TAG}(?:\s[^<>]{{0,200}})?(?:>|&gt;)
           | <[|｜]/?(?:tool(?!.{{0,2}}(?:output|res))|python_tag|(?:start|end)_action)
             [^<>|｜]{{0,40}}[|｜]> )*+""",
    regex.VERBOSE | regex.IGNORECASE,
)
"""What stands before, between and behind the documents of calls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenCalls:
    """The whole calls of a text."""

    calls: tuple[CallDelta, ...]
    is_over: bool
    """Whether no other call can follow."""


def written_calls(text: str, tool_names: Collection[str]) -> WrittenCalls:
    """Return the calls of tools with these names in a text that begins with one, in order.

    Bare documents that words follow are no calls: they are what the words are about.
    """
    read = text[:LONGEST]
    found: list[CallDelta] = []
    end, start = 0, _end_of_between(read)
    while read.startswith("{", start):
        try:
            document, end = _DECODER.raw_decode(read, start)
        except (ValueError, RecursionError):
            break  # More of it may come.
        found += (call for call in _calls(document) if call.name in tool_names)
        start = _end_of_between(read, end)
    follows = read[start : start + 1]
    is_over = len(text) > LONGEST or (
        follows not in ("", "{") and _BETWEEN.fullmatch(read, end, partial=True) is None
    )
    if is_over and follows.isalnum() and _BARE.match(read):
        found.clear()
    return WrittenCalls(calls=tuple(found), is_over=is_over)


def _end_of_between(text: str, start: int = 0) -> int:
    between = _BETWEEN.match(text, start)
    assert between is not None  # It may be empty.
    return between.end()


def _calls(document: Mapping[str, object]) -> Iterator[CallDelta]:
    wrapped = next((document[key] for key in _WRAPPERS if key in document), document)
    yield from call_deltas({"tool_calls": wrapped if isinstance(wrapped, list) else [wrapped]})
