"""While the account is full, few creates are sent, and none that could succeed is held for long."""

import pytest

from services.avatar.vendor.admission import PROBE_S, Admission
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason


class Account:
    """An account with so many places, and a clock."""

    def __init__(self, places: int) -> None:
        self.now = 100.0
        self.places = places
        self.asked = 0
        self.admission = Admission(clock=lambda: self.now)

    def create(self) -> ServiceError | None:
        """Order an avatar; return why there is none."""
        try:
            with self.admission.admitted():
                self.asked += 1
                if not self.places:
                    raise ServiceError(Reason.AVATAR_CAPACITY_EXCEEDED, "full")
                self.places -= 1
        except ServiceError as error:
            return error
        return None

    def stop(self) -> None:
        self.places += 1
        self.admission.freed()


@pytest.fixture
def full() -> Account:
    account = Account(places=1)
    assert account.create() is None
    assert account.create() is not None
    account.asked = 0
    return account


def test_creates_are_refused_without_asking_but_for_one_now_and_then(full: Account) -> None:
    for _ in range(100):
        error = full.create()
        assert error is not None
        assert error.reason is Reason.AVATAR_CAPACITY_EXCEEDED
        full.now += 0.1
    assert full.asked == pytest.approx(10 / PROBE_S, abs=1)


def test_everyone_is_told_another_time_to_come_back(full: Account) -> None:
    told = [error.retry_after_s for _ in range(10) if (error := full.create())]
    assert len(set(told)) == 10
    assert all(wait is not None and wait >= PROBE_S for wait in told)


def test_a_stop_lets_the_next_create_through_at_once(full: Account) -> None:
    full.stop()
    assert full.create() is None


def test_a_place_that_became_free_by_itself_is_found(full: Account) -> None:
    full.places = 1
    assert full.create() is not None
    full.now += PROBE_S
    assert full.create() is None


def test_once_a_create_succeeds_all_are_tried(full: Account) -> None:
    full.places = 3
    full.now += PROBE_S
    assert [full.create() for _ in range(3)] == [None] * 3


def test_a_probe_without_an_answer_is_followed_by_another(full: Account) -> None:
    full.now += PROBE_S
    with pytest.raises(ServiceError), full.admission.admitted():
        raise ServiceError(Reason.CLOUD_UNREACHABLE, "lost")
    assert full.create() is not None
    assert full.asked == 0
    full.now += PROBE_S
    full.places = 1
    assert full.create() is None


@pytest.mark.parametrize("reason", [Reason.CLOUD_BUSY, Reason.CLOUD_NO_CAPACITY])
def test_a_cloud_without_room_is_not_a_full_account(reason: Reason) -> None:
    account = Account(places=1)
    waits = []
    for _ in range(2):
        with pytest.raises(ServiceError) as caught, account.admission.admitted():
            raise ServiceError(reason, "busy")
        waits.append(caught.value.retry_after_s or 0.0)
    assert PROBE_S <= waits[0] < waits[1]
    assert account.create() is None


def test_what_else_is_wrong_does_not_look_like_a_full_account(full: Account) -> None:
    full.now += PROBE_S
    with pytest.raises(ServiceError), full.admission.admitted():
        raise ServiceError(Reason.CLOUD_CREDENTIALS_REJECTED, "wrong")
    full.places = 1
    assert full.create() is None


def test_callers_without_a_turn_come_back_one_after_another() -> None:
    account = Account(places=1)
    waits = []
    for _ in range(100):
        with pytest.raises(ServiceError) as caught, account.admission.admitted():
            raise ServiceError(Reason.CLOUD_RATE_LIMITED, "later", retry_after_s=12.0)
        waits.append(caught.value.retry_after_s)
    assert waits == pytest.approx([12.0 + 0.105 * number for number in range(100)])
