"""The chart's network policies admit who calls whom, and nobody else."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.chart import COMPONENT, EVERYTHING, PROCESSES, component_of, render

PLAIN = render()


def test_the_network_lets_through_who_calls_whom_and_nobody_else() -> None:
    targets = {
        caller: {
            name.removesuffix("_TARGET").rpartition("_")[2].lower()
            for name in PLAIN.variables(caller)
            if name.endswith("_TARGET")
        }
        for caller in PROCESSES
    }
    # A replica passes on what concerns a drive of another one.
    targets["avatar"].add("avatar")
    policies = {component_of(each): each["spec"] for each in PLAIN.of_kind("NetworkPolicy")}
    assert set(policies) == {*PROCESSES, "migration"}
    for spec in policies.values():
        assert spec["policyTypes"] == ["Ingress", "Egress"]
    for caller, callees in targets.items():
        assert called_by(policies[caller]["egress"], "to") == {
            (callee, port_of(callee)) for callee in callees
        }
    for callee in PROCESSES:
        assert called_by(policies[callee]["ingress"], "from") == {
            (caller, port_of(callee)) for caller, theirs in targets.items() if callee in theirs
        }
    assert policies["migration"]["ingress"] == []


def called_by(rules: list[Mapping[str, Any]], side: str) -> set[tuple[str, int]]:
    return {
        (peer["podSelector"]["matchLabels"][COMPONENT], port["port"])
        for rule in rules
        for peer in rule.get(side, ())
        if "podSelector" in peer
        for port in rule["ports"]
    }


def port_of(component: str) -> int:
    return int(PLAIN.variables(component)[f"{component.upper()}_PORT"])


@pytest.mark.parametrize(
    ("port", "reached_by"),
    [
        (5432, {"task", "avatar", "migration"}),
        (443, {"speech"}),
        (1, {"avatar"}),
        (53, {"gateway", "task", "speech", "avatar", "migration"}),
    ],
)
def test_only_these_reach_the_world_outside(port: int, reached_by: set[str]) -> None:
    assert reached_by == {
        component_of(policy)
        for policy in PLAIN.of_kind("NetworkPolicy")
        for rule in policy["spec"]["egress"]
        for each in rule["ports"]
        if each["port"] == port and not any("podSelector" in to for to in rule.get("to", ()))
    }


def test_the_world_outside_is_not_the_inside() -> None:
    blocks = [
        peer["ipBlock"]
        for policy in PLAIN.of_kind("NetworkPolicy")
        for rule in policy["spec"]["egress"]
        for peer in rule.get("to", ())
        if "ipBlock" in peer
    ]
    assert len(blocks) == 2
    for block in blocks:
        assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"} <= set(block["except"])


def test_the_network_can_be_narrowed_and_widened() -> None:
    policies = {
        component_of(each): each["spec"] for each in render(EVERYTHING).of_kind("NetworkPolicy")
    }
    given = EVERYTHING["networkPolicy"]
    assert policies["gateway"]["ingress"][0]["from"] == given["gatewayFrom"]
    for component, spec in policies.items():
        assert given["egress"][0] in spec["egress"]
        assert (given["speechEgress"][0] in spec["egress"]) == (component == "speech")
        assert (given["avatarEgress"][0] in spec["egress"]) == (component == "avatar")
    assert policies["task"]["egress"][-2]["to"] == given["databaseTo"]
