"""Variables of a call in the requests of tools: the path of a URL, headers, fixed arguments."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from services.speech.personas.variables import filled
from services.speech.tools.tool import ToolError

_OTHER_PLACES = frozenset(("", ".", ".."))
"""Segments of a path that would lead elsewhere."""


def filled_url(template: str, variables: Mapping[str, str]) -> str:
    """Return a URL whose path has the values, escaped; raises ToolError if one is no segment."""
    url = filled(template, {name: quote(value, safe="") for name, value in variables.items()})
    for written, segment in zip(template.split("/"), url.split("/"), strict=True):
        if written != segment and segment in _OTHER_PLACES:
            raise ToolError("the call does not say what the tool needs")
    return url


def filled_headers(
    templates: Mapping[str, str], variables: Mapping[str, str]
) -> Mapping[bytes, bytes]:
    """Return headers with the values, in UTF-8."""
    return {
        name.encode(): filled(text, variables).strip().encode() for name, text in templates.items()
    }


def filled_arguments(fixed: Mapping[str, Any], variables: Mapping[str, str]) -> Mapping[str, Any]:
    """Return arguments whose texts have the values."""
    return {
        name: filled(value, variables) if isinstance(value, str) else value
        for name, value in fixed.items()
    }
