"""The tokens of an answer, in any of the shapes that vendors use."""

from collections.abc import Mapping

from services.speech.ports.chat import ChatUsage


def usage_of(document: Mapping[str, object]) -> ChatUsage | None:
    """Return what a document says of the answer's tokens, None if it says nothing."""
    usage = _found(document)
    if usage is None:
        return None
    return ChatUsage(
        input_tokens=_count(usage.get("prompt_tokens")),
        cached_tokens=_cached(usage),
        output_tokens=_count(usage.get("completion_tokens")),
    )


def _found(document: Mapping[str, object]) -> Mapping[str, object] | None:
    choices = document.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    for holder in (document, document.get("x_groq"), choice):
        usage = holder.get("usage") if isinstance(holder, dict) else None
        if isinstance(usage, dict) and "prompt_tokens" in usage:
            return usage
    return None


def _cached(usage: Mapping[str, object]) -> int:
    details = usage.get("prompt_tokens_details")
    if isinstance(details, dict) and details.get("cached_tokens") is not None:
        return _count(details["cached_tokens"])
    return _count(usage.get("prompt_cache_hit_tokens") or usage.get("cached_tokens"))


def _count(tokens: object) -> int:
    return tokens if isinstance(tokens, int) and tokens > 0 else 0
