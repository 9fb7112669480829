"""For whom a call is made, as it crosses from one service to the next."""

import pytest

from services.runtime.callers.caller import (
    ACTOR_HEADER,
    TENANT_HEADER,
    USER_HEADER,
    Caller,
    acting_for,
    current_caller,
    from_metadata,
    to_metadata,
)
from services.runtime.callers.requests import outgoing_metadata
from services.runtime.failures.errors import ServiceError


@pytest.mark.parametrize(
    "caller",
    [
        Caller(),
        Caller(tenant_id="acme-2"),
        Caller(tenant_id="acme", user_id="zoë 张", actor="key 前台"),
        Caller(user_id="50%20", actor="a\nb"),
    ],
)
def test_it_arrives_as_it_was_sent(caller: Caller) -> None:
    metadata = to_metadata(caller)
    assert all(value.isascii() and value.isprintable() for _, value in metadata)
    assert from_metadata(dict(metadata)) == caller


def test_nothing_is_sent_of_what_is_absent() -> None:
    assert to_metadata(Caller()) == ()
    assert from_metadata({}) == Caller(tenant_id="default", user_id="", actor="")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (TENANT_HEADER, "-acme"),
        (TENANT_HEADER, "Acme"),
        (TENANT_HEADER, "acme\n"),
        (TENANT_HEADER, "a" * 64),
        (USER_HEADER, "%FF"),
        (USER_HEADER, "u" * 65),
        (ACTOR_HEADER, "%E5%BC%A0" * 43),
    ],
)
def test_what_breaks_a_rule_names_its_header(name: str, value: str) -> None:
    with pytest.raises(ServiceError) as caught:
        from_metadata({name: value})
    assert [each.field for each in caught.value.violations] == [name]


def test_calls_carry_whom_the_code_works_for() -> None:
    acme = Caller(tenant_id="acme")
    with acting_for(acme):
        with acting_for(Caller(user_id="ann")):
            assert dict(outgoing_metadata())[USER_HEADER] == "ann"
        assert current_caller() == acme
        assert dict(outgoing_metadata())[TENANT_HEADER] == "acme"
    assert current_caller() == Caller()
