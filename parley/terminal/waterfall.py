"""The latency of a turn as a waterfall: what was reached when, after the end of the question."""

from collections.abc import Mapping

from rich.table import Table

_STAGES = {
    "endpointMs": "end of the question detected",
    "transcriptMs": "question recognized",
    "firstTokenMs": "first token generated",
    "firstSentenceMs": "first clause ready",
    "firstAudioMs": "first audio synthesized",
    "driveReadyMs": "avatar ready to speak",
    "firstPcmSentMs": "first audio sent",
    "playbackStartedMs": "avatar speaks",
    "lastTokenMs": "last token generated",
}
_PARALLEL = ("driveReadyMs", "lastTokenMs")
"""They are not on the way to the first sound, so that nothing waits for them."""
_WIDTH = 24


def waterfall(timings: Mapping[str, float]) -> Table:
    """Return a table with a bar for each stage, from the stage before it; times in milliseconds."""
    table = Table("After the end of the question", "", "ms", box=None, pad_edge=False)
    table.columns[2].justify = "right"
    reached = sorted((timings[stage], stage) for stage in _STAGES if stage in timings)
    # A preemptive reply reaches its first stages before the question has ended.
    longest = max((reached_ms for reached_ms, _ in reached), default=0)
    before_ms = 0.0
    for reached_ms, stage in reached:
        begin_ms = 0.0 if stage in _PARALLEL else before_ms
        table.add_row(_STAGES[stage], _bar(begin_ms, reached_ms, longest), f"{reached_ms:.0f}")
        if stage not in _PARALLEL:
            before_ms = max(before_ms, reached_ms)
    return table


def _bar(begin_ms: float, end_ms: float, longest_ms: float) -> str:
    if longest_ms <= 0:
        return ""
    begin, end = (round(_WIDTH * max(each, 0) / longest_ms) for each in (begin_ms, end_ms))
    return " " * begin + "▇" * (end - begin)
