"""What queries of Prometheus ask for, and what the processes' code registers."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import promql_parser
from prometheus_client import REGISTRY

import gateway.app
import services.avatar.app
import services.speech.app
import services.task.app
from services.avatar.vendor.codes import MEANINGS, Code
from services.runtime.failures.reasons import Reason
from services.speech.ports.stages import Stage
from services.speech.providers.failover.breaker import State
from services.speech.providers.failover.relay import RequestOutcome
from services.speech.telemetry.waterfall import Mark
from services.task.domain.tasks import TaskState

# Importing a process's composition registers its metrics.
PROCESSES = (gateway.app, services.task.app, services.speech.app, services.avatar.app)

TARGET_LABELS = frozenset({"job", "instance", "namespace", "pod"})
"""What Prometheus adds to every sample."""
# Not of our code: of Prometheus itself, and of the client library.
FOREIGN: Mapping[str, frozenset[str]] = {
    "up": frozenset(),
    "process_cpu_seconds_total": frozenset(),
    "process_resident_memory_bytes": frozenset(),
}
ENDS_OF_TURNS = frozenset({"finished", "interrupted", *map(str, Reason)})
VALUES: Mapping[tuple[str, str], frozenset[str]] = {
    ("parley_tasks", "state"): frozenset(map(str, TaskState)),
    ("parley_task_moves_total", "state"): frozenset(map(str, TaskState)),
    ("parley_task_lease_moves_total", "kind"): frozenset({"task", "conversation"}),
    ("parley_turns_total", "outcome"): ENDS_OF_TURNS,
    ("parley_drives_total", "outcome"): ENDS_OF_TURNS,
    ("parley_turn_stage_seconds", "stage"): frozenset(map(str, Mark)),
    ("parley_http_problems_total", "reason"): frozenset(map(str, Reason)),
    ("parley_http_requests_total", "status"): frozenset({"200", "400", "503"}),
    ("parley_provider_calls_total", "outcome"): frozenset(map(str, RequestOutcome)),
    ("parley_provider_calls_total", "stage"): frozenset(map(str, Stage)),
    ("parley_provider_state", "state"): frozenset(map(str, State)),
    ("parley_cloud_calls_total", "code"): frozenset(
        {"lost", *(str(int(code)) for code in (*MEANINGS, *Code))}
    ),
}
"""The values that a label can have, by sample and label."""
_PARTS_OF_HISTOGRAMS = re.compile(r"_(bucket|sum|count)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Matcher:
    """A condition on a label; the value may be a pattern of alternatives."""

    label: str
    value: str
    is_pattern: bool

    def never(self, known: frozenset[str]) -> Iterator[str]:
        """Yield the alternatives that match none of the known values."""
        for each in self.value.split("|") if self.is_pattern else [self.value]:
            pattern = each if self.is_pattern else re.escape(each)
            if not any(re.fullmatch(pattern, value) for value in known):
                yield each


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """A metric in a query: which samples are selected, and by which labels they are grouped."""

    metric: str
    matchers: tuple[Matcher, ...]
    grouped_by: frozenset[str]

    def faults(self) -> Iterator[str]:
        """Yield what no process would answer."""
        labels = registered_labels(self.metric)
        if labels is None:
            yield f"{self.metric} is registered by no process"
            return
        asked = self.grouped_by | {each.label for each in self.matchers}
        for label in sorted(asked - labels - TARGET_LABELS):
            yield f"{self.metric} has no label {label}"
        for each in self.matchers:
            if each.label in TARGET_LABELS:
                continue
            known = VALUES.get((_PARTS_OF_HISTOGRAMS.sub("", self.metric), each.label))
            if known is None:
                yield f"nothing tells which values {each.label} of {self.metric} can have"
            else:
                for value in each.never(known):
                    yield f"{each.label} of {self.metric} is never {value}"


def registered_labels(sample: str) -> frozenset[str] | None:
    """Return the labels of a sample; None if no process has it."""
    if sample in FOREIGN:
        return FOREIGN[sample]
    collector = REGISTRY._names_to_collectors.get(sample)
    if collector is None:
        return None
    own: tuple[str, ...] = getattr(collector, "_labelnames", ())
    return frozenset((*own, "le") if sample.endswith("_bucket") else own)


def selections(query: str) -> list[Selection]:
    """Return what a query selects; raises ValueError if it is not PromQL."""
    found: list[Selection] = []
    _collect(promql_parser.parse(query), frozenset(), found)
    return found


def _collect(
    expression: promql_parser.Expr, grouped_by: frozenset[str], found: list[Selection]
) -> None:
    match expression:
        case promql_parser.VectorSelector():
            matchers = tuple(
                Matcher(
                    label=each.name,
                    value=each.value,
                    is_pattern=each.op in (promql_parser.MatchOp.Re, promql_parser.MatchOp.NotRe),
                )
                for each in expression.matchers.matchers
            )
            assert expression.name is not None
            found.append(
                Selection(metric=expression.name, matchers=matchers, grouped_by=grouped_by)
            )
        case promql_parser.MatrixSelector():
            _collect(expression.vector_selector, grouped_by, found)
        case promql_parser.AggregateExpr():
            labels = expression.modifier.labels if expression.modifier else ()
            _collect(expression.expr, grouped_by | frozenset(labels), found)
        case promql_parser.Call():
            for each in expression.args:
                _collect(each, grouped_by, found)
        case promql_parser.BinaryExpr():
            _collect(expression.lhs, grouped_by, found)
            _collect(expression.rhs, grouped_by, found)
        case promql_parser.ParenExpr() | promql_parser.UnaryExpr() | promql_parser.SubqueryExpr():
            _collect(expression.expr, grouped_by, found)
        case promql_parser.NumberLiteral() | promql_parser.StringLiteral():
            return
        case _:
            raise AssertionError(f"a kind of expression that is not looked into: {expression}")
