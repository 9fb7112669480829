"""Alerts and dashboards ask for what the processes measure, and operators can act on them."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from services.task.domain.tasks import TaskState
from tests.support.alerts import BY_NAME, RULES, Alert
from tests.support.promql import PROCESSES, registered_labels, selections

ROOT = Path(__file__).parents[2]
DASHBOARDS = sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json"))
# What Grafana fills in.
VARIABLES = {"$__rate_interval": "5m", "$__range": "1h"}


def panels(path: Path) -> Iterator[Mapping[str, Any]]:
    dashboard = json.loads(path.read_text(encoding="utf-8"))
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels", ())


def filled_in(query: str) -> str:
    for variable, value in VARIABLES.items():
        query = query.replace(variable, value)
    return query


QUERIES = {
    f"{path.stem}: {panel['title']} {target['refId']}": filled_in(target["expr"])
    for path in DASHBOARDS
    for panel in panels(path)
    for target in panel.get("targets", ())
}


def faults(query: str) -> list[str]:
    return [fault for each in selections(query) for fault in each.faults()]


def test_each_alert_is_there_once() -> None:
    assert len(BY_NAME) == sum(len(group.rules) for group in RULES.groups) > 10


@pytest.mark.parametrize("alert", BY_NAME.values(), ids=BY_NAME)
def test_alerts_ask_for_what_is_measured(alert: Alert) -> None:
    assert faults(alert.expr) == []


@pytest.mark.parametrize("alert", BY_NAME.values(), ids=BY_NAME)
def test_alerts_name_only_labels_that_their_result_has(alert: Alert) -> None:
    named = set(re.findall(r"\$labels\.(\w+)", alert.annotations.summary))
    for each in selections(alert.expr):
        assert named <= each.grouped_by | {"job", "instance"}


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_dashboards_ask_for_what_is_measured(query: str) -> None:
    assert "$" not in query
    assert faults(query) == []


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_neither_overlap_nor_share_an_id(path: Path) -> None:
    shown = list(panels(path))
    assert len({panel["id"] for panel in shown}) == len(shown)
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in shown)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert {x for x, _ in cells} == set(range(24))


def test_all_that_costs_or_delays_is_on_a_dashboard() -> None:
    shown = {each.metric for query in QUERIES.values() for each in selections(query)}
    for query in (alert.expr for alert in BY_NAME.values()):
        assert {each.metric for each in selections(query)} - {"up"} <= shown


@pytest.mark.parametrize("alert", BY_NAME.values(), ids=BY_NAME)
def test_each_alert_has_its_entry_in_the_runbook(alert: Alert) -> None:
    document, _, anchor = alert.annotations.runbook.partition("#")
    headings = re.findall(r"^#+ (.+)$", (ROOT / document).read_text(encoding="utf-8"), re.M)
    assert anchor == alert.alert.lower()
    assert alert.alert in headings


def test_the_runbook_has_no_entry_of_an_alert_that_is_gone() -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^#+ (Parley[A-Z]\w+)$", text, re.M)) == set(BY_NAME)


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("rate(parley_turn_total[5m])", "parley_turn_total is registered by no process"),
        ("sum by (user) (parley_tasks)", "parley_tasks has no label user"),
        ("parley_http_sockets{state='open'}", "parley_http_sockets has no label state"),
        ("parley_tasks{state='ON_AIR'}", "state of parley_tasks is never ON_AIR"),
        ("parley_tasks{state=~'STARTING|OVER'}", "state of parley_tasks is never OVER"),
    ],
)
def test_what_is_not_measured_is_found(query: str, fault: str) -> None:
    assert fault in faults(query)


def test_what_seldom_happens_is_zero_until_then() -> None:
    for sample, labels in (
        ("parley_task_leaked_seconds_total", {}),
        *(("parley_task_moves_total", {"state": str(state)}) for state in TaskState),
        *(("parley_task_lease_moves_total", {"kind": kind}) for kind in ("task", "conversation")),
    ):
        assert REGISTRY.get_sample_value(sample, labels) is not None


def test_no_metric_has_a_label_without_bound() -> None:
    samples = [name for name in REGISTRY._names_to_collectors if name.startswith("parley_")]
    assert len(samples) > 50
    for sample in samples:
        labels = registered_labels(sample) or frozenset()
        assert not {each for each in labels if "tenant" in each or "user" in each}, sample


def test_the_processes_register_their_metrics() -> None:
    assert len(PROCESSES) == 4
    requests = registered_labels("parley_http_requests_total")
    assert requests == frozenset({"method", "route", "status"})
    assert registered_labels("parley_http_first_sound_seconds_bucket") == frozenset({"le"})
