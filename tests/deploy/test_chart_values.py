"""The chart's values: each is checked, has a default, and is named when it is wrong."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import helm_python
import pytest
import yaml

from tests.support.chart import CHART, render


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"cloud": {"appId": 0}}, "at '/cloud/appId': minimum"),
        ({"tls": {}}, "at '/tls/mode': value must be one of"),
        ({"tls": {"mode": "none"}}, "at '/tls/mode': value must be one of"),
        ({"speach": {}}, "additional properties 'speach' not allowed"),
        ({"task": {"env": {"TASK_MAX_RUNNING": 7}}}, "at '/task/env/TASK_MAX_RUNNING': got number"),
        ({"ingress": {"enabled": True}}, "at '/ingress/host': minLength"),
        ({"secrets": {"apiKeys": {"name": ""}}}, "at '/secrets/apiKeys/name': minLength"),
        ({"podDisruptionBudget": {"maxUnavailable": 0}}, "/podDisruptionBudget/maxUnavailable"),
        ({"gateway": {"replicas": 0}}, "at '/gateway/replicas': minimum"),
    ],
    ids=str,
)
def test_wrong_values_are_named(values: dict[str, Any], told: str) -> None:
    with pytest.raises(helm_python.HelmValuesError, match=re.escape(told)):
        render(values)


def test_every_value_has_a_default_and_a_rule() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    defaults = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    ruled = {path for path in paths_of(schema, schema) if path != "global"}
    assert ruled == set(defaults_of(defaults, ruled))


def paths_of(part: Mapping[str, Any], schema: Mapping[str, Any], at: str = "") -> Iterator[str]:
    """Yield the values that the schema names one by one, as a.b.c."""
    if "$ref" in part:
        part = schema["definitions"][part["$ref"].rpartition("/")[2]]
    if not part.get("properties"):
        yield at
    for name, each in part.get("properties", {}).items():
        yield from paths_of(each, schema, f"{at}.{name}" if at else name)


def defaults_of(part: Any, ruled: set[str], at: str = "") -> Iterator[str]:
    if at in ruled or not isinstance(part, dict):
        yield at
        return
    for name, each in part.items():
        yield from defaults_of(each, ruled, f"{at}.{name}" if at else name)
