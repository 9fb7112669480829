"""How late replies are, by the records of users, vendors and the cloud."""

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

from bench.conversation.client import Client, Detection, Utterance
from bench.conversation.fakes import ideal_s

Figures: TypeAlias = dict[str, Any]

PLAYOUT_DELAY_S = 0.1
"""How long the cloud's player waits after the first audio, as the engine's does."""

PROBE_S = 0.2
"""How long an open microphone waits before it asks the recogniser; the product's choice."""

HOPS = ("user_to_recognizer", "recognizer_to_model", "model_to_voice", "voice_to_cloud")


def lateness(
    clients: Sequence[Client], records: dict[str, Any], began: float, ended: float
) -> Figures:
    """Return how much later than planned the first sound of replies came, and how even it was."""
    added, whole, glitches, reverse, silent = [], [], 0, 0, 0
    for client in clients:
        record = records[client.stream_id]
        for utterance in client.utterances:
            if not began < utterance.began_at < utterance.ended_at < ended:
                continue
            drives = drives_of(utterance, record)
            if not drives:
                silent += 1
                continue
            first = drives[0]["arrivals"][0][0] - utterance.ended_at
            whole.append(first)
            added.append(first - _ideal_s(utterance, client.detection))
            glitches += sum(_glitches(drive) for drive in drives)
            reverse += sum(
                utterance.began_at < arrival < utterance.ended_at
                for drive in record["drives"]
                for arrival, _ in drive["arrivals"]
            )
    return {
        "turns": len(added),
        "added_ms": spread(added),
        "first_sound_ms": spread(whole),
        "glitches": glitches,
        "reverse_barge_ins": reverse,
        "turns_without_audio": silent,
    }


def vendor_lateness(clients: Sequence[Client], records: dict[str, Any]) -> Figures:
    """Return how long text takes to the voice, and words to the user."""
    return {
        "text_to_voice_after_it_was_written_ms": spread(records["text_lags_s"]),
        "partial_words_behind_speech_ms": spread(
            [each for client in clients for each in client.words_behind_s]
        ),
    }


def hops(
    clients: Sequence[Client], records: dict[str, Any], vendor_records: dict[str, Any]
) -> Figures:
    """Return what is ours of each turn: between what one end has written and the next one has read.

    Without what the vendors take longer than planned, on cores that they share with us.
    """
    own: list[float] = []
    hops: dict[str, list[float]] = {name: [] for name in HOPS}
    for client in clients:
        for utterance in client.utterances:
            drives = drives_of(utterance, records[client.stream_id])
            ends = drives[0]["arrivals"][0][0] if drives else utterance.ended_at
            held = [
                (since, until)
                for _, user, since, until in vendor_records["holding"]
                if user == client.user and utterance.ended_at <= since < until <= ends
            ]
            if len(held) + 1 != len(HOPS):
                continue  # The turn began before the records, or goes on.
            befores = [utterance.ended_at, *(until for _, until in held)]
            afters = [*(since for since, _ in held), ends]
            gaps = [after - before for before, after in zip(befores, afters, strict=True)]
            own.append(sum(gaps))
            for name, gap in zip(HOPS, gaps, strict=True):
                hops[name].append(gap)
    return {"own_ms": spread(own), "hops_ms": {name: spread(hops[name]) for name in HOPS}}


def _ideal_s(utterance: Utterance, detection: Detection) -> float:
    """Return the providers' own time, plus the silence that an open microphone waits for."""
    ideal = ideal_s(utterance.question)
    return ideal if detection is Detection.MANUAL else ideal + PROBE_S


def drives_of(utterance: Utterance, record: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the next drive after an utterance, if it has audio."""
    later = [drive for drive in record["drives"] if drive["opened_at"] >= utterance.ended_at]
    later.sort(key=lambda drive: float(drive["opened_at"]))
    return [drive for drive in later[:1] if drive["arrivals"]]


def _glitches(drive: dict[str, Any]) -> int:
    """Return how often a player that starts just after the first audio runs dry before the end."""
    arrivals = drive["arrivals"]
    ends_at = arrivals[0][0] + PLAYOUT_DELAY_S
    found = 0
    for at, size in arrivals:
        if at > ends_at:
            found += 1
            ends_at = at
        ends_at += size / 2 / drive["rate_hertz"]
    return found


def spread(seconds: Sequence[float]) -> Figures:
    """Return percentiles in milliseconds."""
    return {
        "n": len(seconds),
        "p50": round(percentile(seconds, 0.5) * 1000, 1),
        "p90": round(percentile(seconds, 0.9) * 1000, 1),
        "p99": round(percentile(seconds, 0.99) * 1000, 1),
        "max": round(max(seconds, default=math.nan) * 1000, 1),
    }


def percentile(values: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
