"""Checks what a model writes as arguments, before anything is done with them."""

import json
from collections.abc import Mapping
from typing import Any

from services.runtime.json_schema import argument_fault
from services.speech.tools.tool import ToolError


def checked_arguments(text: str, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the arguments that a model wrote; raises ToolError that tells it what is wrong."""
    try:
        arguments: object = json.loads(text)
    except (ValueError, RecursionError):
        raise ToolError("the arguments are not JSON") from None
    if not isinstance(arguments, dict):
        raise ToolError("the arguments are not a JSON object")
    if fault := argument_fault(arguments, schema):
        raise ToolError(fault)
    return arguments
