"""Names of rooms and streams as the cloud knows them."""

import pytest

from services.runtime.callers.caller import Caller, of_tenant
from services.runtime.callers.names import LONGEST_BYTES, in_cloud
from services.runtime.failures.errors import ServiceError

ACME = of_tenant("acme")


def named(name: str, caller: Caller) -> str:
    return in_cloud(name, caller, field="room_id")


@pytest.mark.parametrize("name", ["room", "大厅", "acme__room", "t_acme__room", ""])
def test_those_of_the_default_tenant_stay_as_they_are(name: str) -> None:
    assert named(name, Caller()) == name


def test_those_of_others_begin_with_the_tenant_once() -> None:
    assert named("room", ACME) == named(named("room", ACME), ACME) == "t__acme__room"
    assert named("", ACME) == ""


def test_no_two_tenants_have_the_same_name() -> None:
    callers = [of_tenant(each) for each in ("a", "a-b", "acme", "default-2", "t")]
    names = ["x", "b__x", "acme__x", "__x", "_x"]
    made = {named(name, caller) for caller in (*callers, Caller()) for name in names}
    assert len(made) == len(names) * (len(callers) + 1)


@pytest.mark.parametrize("tenant_id", ["default", "zoo", "acm"])
@pytest.mark.parametrize("name", ["t__acme__room", "t__", "t__x"])
def test_no_tenant_can_name_what_may_be_anothers(tenant_id: str, name: str) -> None:
    with pytest.raises(ServiceError) as refused:
        named(name, of_tenant(tenant_id))
    assert [(each.field, each.rule) for each in refused.value.violations] == [
        ("room_id", "reserved")
    ]


def test_the_longest_is_that_of_the_cloud() -> None:
    fits = "é" * ((LONGEST_BYTES - len("t__acme__")) // 2)
    assert len(named(fits, ACME).encode()) <= LONGEST_BYTES
    with pytest.raises(ServiceError) as refused:
        named(f"{fits}é", ACME)
    assert [each.rule for each in refused.value.violations] == ["max_bytes"]
