"""What a conversation's providers are used for, from one turn to the next."""

from dataclasses import replace

from services.speech.ports.stages import Stage
from services.speech.ports.usage import Usage


class UsageMeter:
    """Adds up what is used until a turn takes it.

    A turn so takes what was used since the one before, for it or not: hypotheses, replies begun
    ahead and thrown away, and the rest of a reply that was cut off.
    """

    def __init__(self) -> None:
        self._used: dict[tuple[Stage, str, str], Usage] = {}

    def add(self, usage: Usage) -> None:
        """Something was used."""
        key = (usage.stage, usage.provider, usage.currency)
        known = self._used.get(key)
        self._used[key] = usage if known is None else _sum(known, usage)

    def take(self) -> tuple[Usage, ...]:
        """Return what was used since the last time, one for each stage and provider."""
        used, self._used = self._used, {}
        return tuple(used.values())


def _sum(one: Usage, other: Usage) -> Usage:
    return replace(
        one,
        input_tokens=one.input_tokens + other.input_tokens,
        cached_tokens=one.cached_tokens + other.cached_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        estimated_tokens=one.estimated_tokens + other.estimated_tokens,
        characters=one.characters + other.characters,
        audio_s=one.audio_s + other.audio_s,
        cost_micros=one.cost_micros + other.cost_micros,
    )
