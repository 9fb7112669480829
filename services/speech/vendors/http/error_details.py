"""A vendor's error messages, in any of the shapes they come in, and how they are logged safely."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import SecretStr

from services.speech.vendors.documents import parse_json

LONGEST = 300
"""Characters of a vendor's message that a log keeps."""

_READ = 4_000
_ERROR_KEYS = ("error", "errors", "base_resp", "error_code", "errcode")
_MESSAGE_KEYS = ("message", "msg", "error_msg", "status_msg", "errmsg", "detail")
_CODE_KEYS = ("code", "error_code", "status_code", "errcode", "type", "param", "loc")
_ANSWER_KEYS = ("choices", "text", "segments", "audio")
_FINE = frozenset(("", "0", "200", "20000", "ok", "success", "none", "null", "false"))
_KEYS = re.compile(
    r"\b(?:bearer|basic)\s+\S+"
    r"|\b(?:sk|pk|rk|gsk|xai|api[-_]?key|token|secret)[-_=:\"']+\s*[\w*.…+/=-]{4,}"
    r"|(?<![\w-])(?=[\w*+/=-]*\d)[\w*+/=-]{24,}"
    r"|\S*\*{3,}\S*",
    re.IGNORECASE,
)
_QUOTA = re.compile(
    r"insufficient[_ ]?(?:quota|balance|credit|funds)|credit balance|arrearage|account_?overdue"
    r"|(?:quota|limit)[_ ]?(?:is |was )?exceeded|exceeded (?:your|the) (?:current )?(?:quota|rate)"
    r"|rate[_ ]?limit|throttl|too[_ ]many[_ ]requests",
    re.IGNORECASE,
)
"""How vendors name a used-up quota where the status does not say so."""
_TAG = re.compile(r"<(?:style|script).*?</(?:style|script)>|<[^<>]*>", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorDetail:
    """A vendor's own words, possibly none; `param` is the field of the request that they name."""

    message: str
    param: str = ""

    @property
    def is_quota(self) -> bool:
        """Whether a quota or a rate limit is used up."""
        return _QUOTA.search(self.message) is not None


def find_error(document: object) -> ErrorDetail | None:
    """Return the error that a document reports, None if it reports none.

    Errors come as `error`, `errors`, `detail` or `base_resp`, as a `message` in place of an answer,
    a `code` that is not a success, a `type` or `object` of `error`, or a `success` of false.
    """
    if not isinstance(document, dict):
        return None
    for key in _ERROR_KEYS:
        if _is_bad(document.get(key)):
            value = document[key]
            return _detail(value if isinstance(value, dict | list) else document)
    is_marked = document.get("success") is False or "error" in (
        document.get("type"),
        document.get("object"),
        document.get("status"),
    )
    code = document.get("code")
    has_message = (
        isinstance(document.get("message"), str) and (code is None or _is_bad(code))
    ) or (
        any(document.get(key) for key in _MESSAGE_KEYS) and (_is_bad(code) or "detail" in document)
    )
    is_answer = any(key in document for key in _ANSWER_KEYS)
    return _detail(document) if is_marked or (has_message and not is_answer) else None


def read_error(body: str | bytes) -> ErrorDetail:
    """Return the error that a whole body is: a document, a page, or plain text."""
    text = _text_of(body)
    try:
        document = parse_json(text)
    except ValueError:
        return ErrorDetail(message=_TAG.sub(" ", text[:_READ]))
    return find_error(document) or ErrorDetail(message=text[:_READ])


def describe_unexpected(body: str | bytes) -> ErrorDetail:
    """Describe what came in place of an answer: an error, a page, or else its shape alone.

    What is not known to be an error may be the answer's own words, which must not be logged.
    """
    text = _text_of(body)
    try:
        document = parse_json(text)
    except ValueError:
        is_page = text.lstrip().startswith("<")
        return read_error(text) if is_page else ErrorDetail(message=f"{len(text)} characters")
    shape = f"members {', '.join(document)}" if isinstance(document, dict) else "another value"
    return find_error(document) or ErrorDetail(message=f"JSON: {shape}")


def redacted(text: str, key: SecretStr | None = None) -> str:
    """Return one short line of a text, without the key and anything that looks like one."""
    line = " ".join(text[:_READ].split())
    if key is not None and (secret := key.get_secret_value()):
        line = line.replace(secret, "[redacted]")
    shown = _KEYS.sub("[redacted]", "".join(each for each in line if each.isprintable()))
    return shown if len(shown) <= LONGEST else shown[: LONGEST - 1] + "…"


def _text_of(body: str | bytes) -> str:
    text = body if isinstance(body, str) else body.decode(errors="replace")
    return text.removeprefix("\ufeff")  # A byte order mark.


def _is_bad(value: object) -> bool:
    if isinstance(value, dict):
        codes = [value[key] for key in ("code", "status_code") if value.get(key) is not None]
        return bool(value) and (not codes or any(_is_bad(each) for each in codes))
    if isinstance(value, list):
        return bool(value)
    return value is not None and str(value).lower() not in _FINE


def _detail(document: dict[str, object] | list[object]) -> ErrorDetail:
    param = document.get("param") if isinstance(document, dict) else None
    return ErrorDetail(
        message=" ".join(dict.fromkeys(_words(document)))[:_READ],
        param=param if isinstance(param, str) else "",
    )


def _words(document: object, depth: int = 0) -> Iterator[str]:
    """Yield the codes and messages of an error, wherever they are in it."""
    if depth > 4:
        return
    match document:
        case dict():
            for key in (*_CODE_KEYS, *_MESSAGE_KEYS, "error"):
                yield from _words(document.get(key), depth + 1)
        case list():
            for each in document[:8]:
                yield from _words(each, depth + 1)
        case bool() | None:
            pass
        case str() | int():
            yield str(document)
