"""The chunks of a language model's answer, in any of the shapes that vendors use."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from services.speech.ports.chat import ChatUsage
from services.speech.vendors.chat.calls import CallDelta, call_deltas
from services.speech.vendors.chat.usage import usage_of
from services.speech.vendors.documents import parse_json
from services.speech.vendors.http.answers import AnswerError
from services.speech.vendors.http.error_details import (
    ErrorDetail,
    describe_unexpected,
    find_error,
    read_error,
)
from services.speech.vendors.http.sse import SseError, server_events

LONGEST_DOCUMENT = 1 << 20
_BLANK = b" \t\r\n\xef\xbb\xbf"
"""What may precede a document, the byte order mark included."""
_DONE = frozenset(("[done]", "done"))
_SIGNS_OF_LIFE = frozenset(("ping", "keep-alive", "keepalive", "heartbeat"))
"""Names of events whose data means nothing."""
_ERROR_KEYS = ("error", "base_resp")
"""Where an event may report an error although it has a choice."""
_REASONING_KEYS = ("reasoning_content", "reasoning", "reasoning_details", "thinking")
_FAILED = frozenset(("error", "network_error", "abort"))
_NO_REASON = frozenset(("", "null", "none"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """What one event adds to an answer."""

    text: str = ""
    """Verbatim, markup included."""
    is_whole: bool = False
    """Whether it came as a message rather than a delta: `text` may be all of the reply so far."""
    has_reasoning: bool = False
    """Whether the server separates the model's thinking from its text."""
    refusal: str = ""
    calls: tuple[CallDelta, ...] = ()
    usage: ChatUsage | None = None
    """Of the answer so far."""
    finish_reason: str = ""
    """Empty while the model is writing."""


async def documents(chunks: AsyncIterator[bytes]) -> AsyncIterator[object]:
    """Yield the JSON documents of an event stream, or of a body that is JSON itself.

    Raises AnswerError when a stream ends without its end mark: a caller that recognizes the end of
    the reply stops reading before that.
    """
    head = b""
    async for chunk in chunks:
        head += chunk
        if head.lstrip(_BLANK):
            break
    if head.lstrip(_BLANK)[:1] in (b"{", b"["):
        for document in await _plain_documents(head, chunks):
            yield document
        return
    is_empty = True
    try:
        async for event in server_events(_following(head, chunks)):
            is_empty = False
            if not event.data.strip() or event.name in _SIGNS_OF_LIFE:
                continue
            if event.name == "error":
                detail = read_error(event.data)
                raise AnswerError("the provider reports an error in its answer", detail)
            for data in _parts(event.data):
                if data.strip(' \t\r\n"').lower() in _DONE:
                    return
                yield _parsed(data)
    except SseError as error:
        raise AnswerError(str(error)) from None
    if is_empty:
        raise AnswerError("there are no events in it", describe_unexpected(head))
    raise AnswerError("it ends in the middle")


def parse_chunk(document: object) -> Chunk:
    """Return what a document says; raises AnswerError for errors and unknown shapes."""
    if not isinstance(document, dict):
        raise AnswerError("an event is not an object")
    found = document.get("choices")
    choices = [each for each in found if each is not None] if isinstance(found, list) else []
    if not choices or any(map(document.get, _ERROR_KEYS)):
        detail = find_error(document)
        if detail is not None:
            raise AnswerError("the provider reports an error in its answer", detail)
    choice = _first(choices) if choices else document
    reason = str(choice.get("finish_reason") or "").lower()
    if reason in _FAILED or choice.get("error"):
        raise _reported(choice.get("error") or choice)
    message, is_whole = _message(choice)
    content = _content(message.get("content"))
    completion = _text(choice.get("text")) if choices else ""
    return Chunk(
        text=content.text or completion,
        is_whole=is_whole,
        has_reasoning=content.has_reasoning or any(map(message.get, _REASONING_KEYS)),
        refusal=content.refusal or _text(message.get("refusal")),
        calls=call_deltas(message),
        usage=usage_of(document),
        finish_reason="" if reason in _NO_REASON else reason,
    )


def _first(choices: list[object]) -> dict[str, object]:
    """Return the first of several replies, which may come mixed; empty if it is not there."""
    for choice in choices:
        if not isinstance(choice, dict):
            raise AnswerError("a choice is not an object")
        if not choice.get("index"):
            return choice
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Content:
    text: str = ""
    refusal: str = ""
    has_reasoning: bool = False


def _content(content: object) -> _Content:
    """Return what a content holds: a text, a part, or a list of either."""
    texts, refusals = [], []
    has_reasoning = False
    for part in content if isinstance(content, list) else [content]:
        if not isinstance(part, dict):
            texts.append(_text(part))
            continue
        kind = str(part.get("type", "text"))
        if kind == "refusal":
            refusals.append(_text(part.get("refusal")))
        elif kind.startswith(("think", "reason")) or part.get("thought") is True:
            has_reasoning = True
        elif kind in ("text", "output_text"):
            texts.append(_text(part.get("text")))
    return _Content(text="".join(texts), refusal=" ".join(refusals), has_reasoning=has_reasoning)


def _text(value: object) -> str:
    found = value.get("value") if isinstance(value, dict) else value
    return found if isinstance(found, str) else ""


def _message(choice: dict[str, object]) -> tuple[dict[str, object], bool]:
    """Return a choice's message or delta, and whether it is a whole message."""
    delta, message = choice.get("delta"), choice.get("message")
    if isinstance(message, dict) and not (isinstance(delta, dict) and delta.get("content")):
        return message, True
    return (delta if isinstance(delta, dict) else {}), False


def _reported(value: object) -> AnswerError:
    detail = find_error({"error": value}) or ErrorDetail(message="")
    return AnswerError("the provider reports an error in its answer", detail)


def _parts(data: str) -> list[str]:
    """Return the documents of an event: one, or one per line where blank lines are missing."""
    lines = [line for line in data.splitlines() if line.strip()]
    return lines if len(lines) > 1 and all(map(_is_json, lines[:-1])) else [data]


def _is_json(line: str) -> bool:
    try:
        parse_json(line)
    except ValueError:
        return False
    return True


def _parsed(data: str) -> object:
    try:
        return parse_json(data)
    except ValueError:
        raise AnswerError("an event is not JSON", describe_unexpected(data)) from None


async def _plain_documents(head: bytes, chunks: AsyncIterator[bytes]) -> list[object]:
    """Return the documents of a JSON body: one, an array of them, or one per line."""
    body = bytearray(head)
    async for chunk in chunks:
        body += chunk
        if len(body) > LONGEST_DOCUMENT:
            raise AnswerError("a document without an end")
    try:
        try:
            document = parse_json(body)
        except ValueError:
            return [parse_json(line) for line in body.splitlines() if line.strip()]
    except ValueError:
        raise AnswerError("it is not JSON", describe_unexpected(bytes(body))) from None
    return document if isinstance(document, list) else [document]


async def _following(head: bytes, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield head
    async for chunk in chunks:
        yield chunk
