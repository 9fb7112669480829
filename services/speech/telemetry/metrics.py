"""The metrics of conversations, for Prometheus."""

from prometheus_client import Counter, Gauge, Histogram

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


def count_turn(outcome: str, waterfall: Waterfall, *, turn_id: int) -> None:
    """Count and trace a turn that has ended."""
    TURNS.labels(outcome=outcome).inc()
    for mark, offset_s in waterfall.offsets.items():
        STAGE_SECONDS.labels(stage=mark.value).observe(offset_s)
    record_turn(waterfall, outcome=outcome, turn_id=turn_id)
