"""Tool calls that a model writes into its text, where its server does not tell them from it.

Small models do so behind servers such as llama.cpp's: a document with the name of the tool and its
arguments, alone, in a list, in a tag or in a code block.
"""

import json
from collections.abc import Collection, Iterator, Mapping

from services.speech.vendors.chat.calls import CallDelta, call_deltas

LONGEST = 8_000
"""Characters of a text that are searched."""

_DECODER = json.JSONDecoder()
_WRAPPERS = ("tool_calls", "tool_call", "function_call")


def written_calls(text: str, tool_names: Collection[str]) -> tuple[CallDelta, ...]:
    """Return the whole calls of tools with these names, in order."""
    found = (call for document in _documents(text[:LONGEST]) for call in _calls(document))
    return tuple(call for call in found if call.name in tool_names)


def _documents(text: str) -> Iterator[Mapping[str, object]]:
    """Yield the JSON objects of a text that are in no other."""
    start = text.find("{")
    while start >= 0:
        try:
            document, end = _DECODER.raw_decode(text, start)
        except RecursionError:
            return
        except ValueError:
            end = start + 1
        else:
            yield document
        start = text.find("{", end)


def _calls(document: Mapping[str, object]) -> Iterator[CallDelta]:
    wrapped = next((document[key] for key in _WRAPPERS if key in document), document)
    yield from call_deltas({"tool_calls": wrapped if isinstance(wrapped, list) else [wrapped]})
