"""Every return code of the manual has a meaning."""

import pytest

from services.avatar.vendor.codes import MEANINGS, Retry
from services.runtime.failures.reasons import Reason

GATEWAY = set(range(100000000, 100000018))
SERVICE = {*range(400000001, 400000011), 400000015, 400000016}
SYSTEM = {400010000, 400010001, 400010002, 400010007, 400010008, 400010009}
WITHDRAWN = {
    *(400000011, 400000012, 400000013, 400000014, 400010003),
    *range(400000017, 400000022),
    *(400004001, *range(400004006, 400004014)),
}


def test_every_documented_code_has_a_meaning() -> None:
    assert set(MEANINGS) == GATEWAY | SERVICE | SYSTEM | WITHDRAWN


def test_every_meaning_is_about_the_cloud_or_what_it_holds() -> None:
    prefixes = ("CLOUD_", "AVATAR_", "DIGITAL_HUMAN_", "TIMBRE_", "STREAM_IN_USE")
    assert [each.reason for each in MEANINGS.values() if not each.reason.startswith(prefixes)] == []


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (100000004, Reason.CLOUD_CLOCK_SKEW),
        (100000005, Reason.CLOUD_CREDENTIALS_REJECTED),
        (400000002, Reason.CLOUD_NOT_ENABLED),
        (400000003, Reason.DIGITAL_HUMAN_NOT_FOUND),
        (400000004, Reason.TIMBRE_NOT_FOUND),
        (400000005, Reason.AVATAR_NOT_FOUND),
        (400000006, Reason.AVATAR_NOT_ON_AIR),
        (400000007, Reason.AVATAR_ENDED),
        (400000008, Reason.AVATAR_CAPACITY_EXCEEDED),
        (400000009, Reason.TIMBRE_UNSUPPORTED),
        (400000010, Reason.DIGITAL_HUMAN_MISCONFIGURED),
        (400000015, Reason.STREAM_IN_USE),
        (400010000, Reason.CLOUD_ERROR),
        (400010002, Reason.CLOUD_BUSY),
        (400010007, Reason.CLOUD_NO_CAPACITY),
        (400010009, Reason.CLOUD_RATE_LIMITED),
    ],
)
def test_a_code_has_its_reason(code: int, reason: Reason) -> None:
    assert MEANINGS[code].reason is reason


def test_only_what_passes_by_itself_is_tried_again() -> None:
    again = {code for code, meaning in MEANINGS.items() if meaning.retry is Retry.BACK_OFF}
    assert again == {400000006, 400010002, 400010007, 400010009}
    assert [code for code, each in MEANINGS.items() if each.retry is Retry.ONCE] == [100000004]
