"""What requests to providers used."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from services.speech.ports.stages import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What requests to a provider used: `audio_s` is what was sent to it, or what it spoke.

    `cached_tokens` are a part of the input's; `estimated_tokens` are those of all that the vendor
    did not count itself. `cost_micros` is in millionths of the currency, 0 where no price is known.
    """

    stage: Stage
    provider: str
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    estimated_tokens: int = 0
    characters: int = 0
    audio_s: float = 0.0
    currency: str = ""
    cost_micros: int = 0


OnUsage: TypeAlias = Callable[[Usage], None]
"""Gets what a request used once it is over, however it ended."""


def ignore_usage(usage: Usage) -> None:
    """Nobody wants to know."""
