"""The tool calls of an answer, in any of the shapes that vendors use, put together from pieces."""

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from services.speech.ports.chat import ToolCall
from services.speech.vendors.documents import parse_json

NAME_KEYS = ("name", "function", "tool", "tool_name", "action")
ARGUMENT_KEYS = ("arguments", "parameters", "args", "input", "action_input")

_NO_ARGUMENTS = "{}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallDelta:
    """A piece of a call, or a whole one; what is empty is not in it."""

    index: int | None
    call_id: str
    name: str
    arguments: str


def call_deltas(message: Mapping[str, object]) -> tuple[CallDelta, ...]:
    """Return the pieces of calls in a message or delta; `function_call` is the old form of one."""
    found = message.get("tool_calls") or message.get("function_call") or ()
    return tuple(
        _delta(each)
        for each in (found if isinstance(found, list) else [found])
        if isinstance(each, dict)
    )


def _delta(call: Mapping[str, object]) -> CallDelta:
    function = call.get("function")
    if not isinstance(function, dict):
        function = call
    index, call_id = call.get("index"), call.get("id")
    name = _first(function, NAME_KEYS)
    return CallDelta(
        index=index if isinstance(index, int) else None,
        call_id=call_id if isinstance(call_id, str) else "",
        name=name if isinstance(name, str) else "",
        arguments=_json(_first(function, ARGUMENT_KEYS)),
    )


def _first(function: Mapping[str, object], keys: Sequence[str]) -> object:
    return next((function[key] for key in keys if key in function), None)


def _json(arguments: object) -> str:
    """Return arguments as JSON text: some vendors give an object."""
    if arguments is None:
        return ""
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)


@dataclass(slots=True, kw_only=True)
class _PartialCall:
    index: int | None
    call_id: str
    name: str = ""
    arguments: str = ""

    @property
    def is_whole(self) -> bool:
        try:
            parse_json(self.arguments)
        except ValueError:
            return False
        return True

    def continues_with(self, delta: CallDelta) -> bool:
        """Whether a delta is a piece of this call."""
        if delta.index is not None and delta.index != self.index:
            return False
        if delta.call_id and self.call_id:
            return delta.call_id == self.call_id
        # A vendor without ids begins each of its calls with the name.
        return not (delta.name and self.name and self.is_whole)


@dataclass(slots=True)
class PartialCalls:
    """The calls of one answer so far."""

    _calls: list[_PartialCall] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self._calls)

    def add(self, deltas: Sequence[CallDelta]) -> None:
        """Take pieces of calls, each of which begins a call or continues one."""
        for delta in deltas:
            call = self._continued(delta)
            call.call_id = call.call_id or delta.call_id
            call.name = call.name or delta.name
            call.arguments += delta.arguments

    def add_whole(self, deltas: Sequence[CallDelta]) -> None:
        """Take calls of a message, except those that the answer has brought already."""
        known = [(each.name, each.arguments) for each in self._calls]
        for delta in deltas:
            if (delta.name, delta.arguments) not in known:
                self._calls.append(
                    _PartialCall(
                        index=None,
                        call_id=delta.call_id,
                        name=delta.name,
                        arguments=delta.arguments,
                    )
                )

    def made(self) -> Iterator[ToolCall]:
        """Yield the calls in order; one without an id gets one."""
        for call in self._calls:
            if call.name:
                call.call_id = call.call_id or f"call_{uuid.uuid4().hex}"
                arguments = call.arguments.strip() or _NO_ARGUMENTS
                yield ToolCall(call_id=call.call_id, name=call.name, arguments=arguments)

    def _continued(self, delta: CallDelta) -> _PartialCall:
        candidates = reversed(self._calls)
        same = next(
            (each for each in candidates if delta.index is None or each.index == delta.index), None
        )
        if same is not None and same.continues_with(delta):
            return same
        begun = _PartialCall(index=delta.index, call_id=delta.call_id)
        self._calls.append(begun)
        return begun
