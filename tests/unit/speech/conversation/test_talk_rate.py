"""A tenant asks as many questions in a minute as its quota says, and no other's count."""

import pytest

from services.runtime.callers.caller import Caller, acting_for
from services.runtime.callers.tenants import NO_QUOTAS, TenantQuota, Tenants
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.speech.conversation.talk_rate import TalkRate

TENANTS = Tenants(
    by_id={
        "two": TenantQuota(questions_per_minute=2),
        "none": TenantQuota(questions_per_minute=0),
    }
)


def test_questions_count_for_a_minute() -> None:
    now = 100.0
    rate = TalkRate(TENANTS, clock=lambda: now)
    with acting_for(Caller(tenant_id="two")):
        rate.take()
        now = 130.0
        rate.take()
        with pytest.raises(ServiceError) as caught:
            rate.take()
        assert caught.value.reason is Reason.TALK_RATE_EXCEEDED
        assert caught.value.retry_after_s == rate.wait_s == 30.0
        now = 160.0
        rate.take()
        assert rate.wait_s == 30.0
    with acting_for(Caller(tenant_id="other")):
        assert not rate.wait_s


def test_a_quota_of_nothing_allows_nothing() -> None:
    rate = TalkRate(TENANTS)
    with acting_for(Caller(tenant_id="none")), pytest.raises(ServiceError):
        rate.take()


def test_without_a_quota_nothing_is_kept() -> None:
    rate = TalkRate(NO_QUOTAS)
    for _ in range(1_000):
        rate.take()
    assert not rate._asked
