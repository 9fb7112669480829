"""The alerts, as Prometheus reads them."""

from pathlib import Path
from typing import Literal

import promql_parser
import yaml
from pydantic import BaseModel, ConfigDict, field_validator

ALERTS = Path(__file__).parents[2] / "deploy" / "prometheus" / "alerts.yml"


class Strict(BaseModel):
    """A mapping of a rule file: nothing is missing, and nothing is unknown."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Annotations(Strict):
    """What is shown of an alert."""

    summary: str
    runbook: str


class Labels(Strict):
    """What an alert is routed by."""

    severity: Literal["critical", "warning"]


class Alert(Strict):
    """An alert as Prometheus reads it."""

    alert: str
    expr: str
    for_: str = "0s"
    labels: Labels
    annotations: Annotations

    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=lambda it: it.strip("_"))

    @field_validator("for_")
    @classmethod
    def _check_for(cls, text: str) -> str:
        promql_parser.parse_duration(text)
        return text


class Group(Strict):
    """Alerts that are evaluated together."""

    name: str
    rules: list[Alert]


class RuleFile(Strict):
    """A rule file of Prometheus."""

    groups: list[Group]


RULES = RuleFile.model_validate(yaml.safe_load(ALERTS.read_text(encoding="utf-8")))
BY_NAME = {rule.alert: rule for group in RULES.groups for rule in group.rules}
