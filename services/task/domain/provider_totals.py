"""What providers were used for, in total."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderTotals:
    """What providers were used for that are paid in a currency; empty for those without a price.

    `cached_tokens` are a part of the input's, `estimated_tokens` of all. `recognized_ms` is audio
    that recognizers were sent, `cost_micros` is in millionths of the currency.
    """

    currency: str
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    estimated_tokens: int = 0
    characters: int = 0
    recognized_ms: int = 0
    cost_micros: int = 0
