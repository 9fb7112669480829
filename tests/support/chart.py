"""The Helm chart as Helm itself renders it, without a cluster."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import helm_python
import yaml

CHART = Path(__file__).parents[2] / "deploy" / "helm" / "parley"
PROCESSES = ("gateway", "task", "speech", "avatar")
RELEASE, NAMESPACE = "parley", "production"
REQUIRED: Mapping[str, Any] = {"cloud": {"appId": 2**32 - 1}}
"""What has no default."""
COMPONENT = "app.kubernetes.io/component"

Manifest: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """What would be applied."""

    manifests: Sequence[Manifest]

    def of_kind(self, kind: str) -> list[Manifest]:
        """Return the manifests of a kind."""
        return [each for each in self.manifests if each["kind"] == kind]

    def of(self, kind: str, component: str) -> Manifest:
        """Return a component's only manifest of a kind."""
        [found] = [each for each in self.of_kind(kind) if component_of(each) == component]
        return found

    def pods(self) -> Iterator[Mapping[str, Any]]:
        """Yield the specifications of all pods."""
        for each in (*self.of_kind("Deployment"), *self.of_kind("Job")):
            yield each["spec"]["template"]["spec"]

    def pod(self, component: str) -> Mapping[str, Any]:
        """Return the specification of a process's pods."""
        spec: Mapping[str, Any] = self.of("Deployment", component)["spec"]["template"]["spec"]
        return spec

    def container(self, component: str) -> Mapping[str, Any]:
        """Return a process's container."""
        [container] = self.pod(component)["containers"]
        found: Mapping[str, Any] = container
        return found

    def variables(self, component: str) -> dict[str, str]:
        """Return a process's settings, references as `<secret>/<key>` in angle brackets."""
        return {each["name"]: _value(each) for each in self.container(component)["env"]}


def render(values: Mapping[str, Any] | None = None, *, release: str = RELEASE) -> Rendered:
    """Render the chart with these values besides the required ones.

    Raises helm_python.HelmError, for values that break the schema HelmValuesError.
    """
    with helm_python.Chart.load(CHART) as chart:
        texts = chart.render({**REQUIRED, **(values or {})}, name=release, namespace=NAMESPACE)
    manifests = [
        manifest
        for name, text in texts.items()
        if name.endswith(".yaml")
        for manifest in yaml.safe_load_all(text)
        if manifest is not None
    ]
    return Rendered(manifests=manifests)


def component_of(manifest: Manifest) -> str:
    """Return the component that a manifest belongs to."""
    component: str = manifest["metadata"]["labels"][COMPONENT]
    return component


def _value(variable: Mapping[str, Any]) -> str:
    match variable:
        case {"value": str(value)}:
            return value
        case {"valueFrom": {"secretKeyRef": {"name": name, "key": key}}}:
            return f"<{name}/{key}>"
        case {"valueFrom": {"fieldRef": {"fieldPath": path}}}:
            return f"<{path}>"
        case _:
            raise AssertionError(f"a variable of another form: {variable}")
