"""What the machine makes everybody wait is told apart from what a process makes others wait."""

from bench.fuzz.watch import Wait, figures, longest_by_second

BARE = [Wait(begun_s=10.1, seconds=0.01), Wait(begun_s=11.9, seconds=0.2)]


def test_the_machines_share_is_that_of_the_same_seconds() -> None:
    held = [Wait(begun_s=10.5, seconds=0.11), Wait(begun_s=12.0, seconds=0.25)]
    told = figures(held, longest_by_second(BARE))
    assert told["longest_ms"] == 250.0
    assert told["longest_beyond_the_machine_ms"] == 100.0


def test_who_does_not_answer_is_counted_and_not_measured() -> None:
    held = [Wait(begun_s=10.5, seconds=0.11), Wait(begun_s=11.0, seconds=float("inf"))]
    told = figures(held, {})
    assert (told["asked"], told["unanswered"], told["longest_ms"]) == (2, 1, 110.0)
