"""The metrics of conversations, for Prometheus."""

from prometheus_client import Counter, Gauge, Histogram

from services.speech.ports.usage import Usage
from services.speech.telemetry.tracing import record_turn
from services.speech.telemetry.waterfall import Waterfall

TURNS = Counter("parley_turns_total", "Turns that ended, by outcome.", ["outcome"])
STAGE_SECONDS = Histogram(
    "parley_turn_stage_seconds",
    "From the last voiced sample (or the text's arrival) to each stage of a turn.",
    ["stage"],
    buckets=(0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30),
)
DISCARDED_REPLIES = Counter(
    "parley_discarded_replies_total", "Replies begun ahead and thrown away, as the user went on."
)
PREEMPTIVE_REPLIES = Counter(
    "parley_preemptive_replies_total", "Replies begun ahead that were the right ones."
)
DISMISSED_SPEECH = Counter(
    "parley_dismissed_speech_total", "Voices that asked for nothing, by what they were.", ["remark"]
)
ANSWERS = Counter(
    "parley_answers_total",
    "Replies to users by where their words come from: curated, model, or declined.",
    ["source"],
)
DECLINED_ANSWERS = Counter(
    "parley_declined_answers_total",
    "Replies that ended in saying that the answer is not known, by what was missing.",
    ["cause"],
)
CHECKED_SENTENCES = Counter(
    "parley_checked_sentences_total",
    "Parts of models' replies that were checked, by what nothing carried, or grounded.",
    ["outcome"],
)
CONVERSATIONS = Gauge("parley_conversations", "Conversations that are open.")
PROVIDER_CALLS = Counter(
    "parley_provider_calls_total",
    "Requests to providers, by what became of them.",
    ["stage", "provider", "outcome"],
)
PROVIDER_FAILOVERS = Counter(
    "parley_provider_failovers_total",
    "Requests that went on to the next provider, by what became of the one before.",
    ["stage", "provider", "next_provider", "outcome"],
)
PROVIDER_STATE = Gauge(
    "parley_provider_state",
    "1 for the state that a provider is in: closed (it is asked), open (it is out), half_open.",
    ["stage", "provider", "state"],
)
TOOL_CALLS = Counter(
    "parley_tool_calls_total", "Calls of tools that a model made, by their outcome.", ["outcome"]
)

USAGE_TOKENS = Counter(
    "parley_usage_tokens_total",
    "Tokens of language models by kind: input, cached (of these), output; as the vendor counts"
    " them, or estimated.",
    ["provider", "kind", "counted_by"],
)
USAGE_CHARACTERS = Counter(
    "parley_usage_characters_total", "Characters that synthesizers were sent.", ["provider"]
)
USAGE_AUDIO_SECONDS = Counter(
    "parley_usage_audio_seconds_total",
    "Audio that recognizers were sent, and that synthesizers spoke.",
    ["stage", "provider"],
)
USAGE_COST = Counter(
    "parley_usage_cost_total",
    "What providers with a price cost, in units of the currency.",
    ["stage", "provider", "currency"],
)


def count_usage(usage: Usage) -> None:
    """Count what a request to a provider used."""
    counted_by = "estimate" if usage.estimated_tokens else "vendor"
    for kind, tokens in (
        ("input", usage.input_tokens),
        ("cached", usage.cached_tokens),
        ("output", usage.output_tokens),
    ):
        if tokens:
            USAGE_TOKENS.labels(usage.provider, kind, counted_by).inc(tokens)
    if usage.characters:
        USAGE_CHARACTERS.labels(usage.provider).inc(usage.characters)
    if usage.audio_s:
        USAGE_AUDIO_SECONDS.labels(usage.stage, usage.provider).inc(usage.audio_s)
    if usage.cost_micros:
        cost = USAGE_COST.labels(usage.stage, usage.provider, usage.currency)
        cost.inc(usage.cost_micros / 1_000_000)


def count_turn(outcome: str, waterfall: Waterfall, *, turn_id: int) -> None:
    """Count and trace a turn that has ended."""
    TURNS.labels(outcome=outcome).inc()
    for mark, offset_s in waterfall.offsets.items():
        STAGE_SECONDS.labels(stage=mark.value).observe(offset_s)
    record_turn(waterfall, outcome=outcome, turn_id=turn_id)
