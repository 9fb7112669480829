"""The Helm chart is valid for Kubernetes, safe, and watched."""

import re
import tomllib

import helm_python
import kubernetes_validate
import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field

from tests.support.chart import (
    CHART,
    COMPONENT,
    EVERYTHING,
    PROCESSES,
    RELEASE,
    REQUIRED,
    ROOT,
    Rendered,
    component_of,
    components,
    render,
)

# The chart's own oldest version, and the newest that is known.
VERSIONS = ("1.27.0", kubernetes_validate.latest_version())

PLAIN = render()

EXTENSIONS = ("monitoring.coreos.com/", "cert-manager.io/")
"""Objects that are no part of Kubernetes."""


class Strict(BaseModel):
    """A part of an extension's object: nothing is unknown. Only what the chart uses."""

    model_config = ConfigDict(extra="forbid", strict=True)


class LabelSelector(Strict):
    """Labels that an object must have."""

    matchLabels: dict[str, str]


class Relabeling(Strict):
    """How a label of a target is made of others."""

    sourceLabels: list[str]
    targetLabel: str
    replacement: str


class Endpoint(Strict):
    """Where metrics are fetched."""

    port: str
    interval: str = Field(pattern=r"^\d+(ms|s|m|h)$")
    relabelings: list[Relabeling]


class ServiceMonitorSpec(Strict):
    """Services whose metrics Prometheus fetches."""

    selector: LabelSelector
    endpoints: list[Endpoint]


def test_helm_finds_nothing_wrong() -> None:
    found = helm_python.lint(CHART, dict(REQUIRED), strict=True)
    complaints = [each for each in found["messages"] if "icon" not in each["error"]]
    assert (complaints, found["errors"]) == ([], [])


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_knows_every_field(rendered: Rendered, version: str) -> None:
    for manifest in rendered.manifests:
        if not manifest["apiVersion"].startswith(EXTENSIONS):
            kubernetes_validate.validate(dict(manifest), version, strict=True)


def test_it_is_of_the_version_that_it_runs() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert chart["appVersion"] == project["version"]
    assert chart["kubeVersion"] == f">={VERSIONS[0]}-0"


def test_names_are_used_once_and_fit() -> None:
    for release in (RELEASE, "a" * 53):
        names = [
            (each["kind"], each["metadata"]["name"])
            for each in render(EVERYTHING, release=release).manifests
        ]
        assert len(set(names)) == len(names)
        assert all(len(name) <= 63 for _, name in names)


@pytest.mark.parametrize("kind", ["Service", "PodDisruptionBudget", "NetworkPolicy"])
def test_selectors_select_the_pods_of_their_component(kind: str) -> None:
    assert set(PROCESSES) <= components(PLAIN, kind)
    for manifest in PLAIN.of_kind(kind):
        spec = manifest["spec"]
        selector = spec.get("selector") or spec["podSelector"]
        selected = [
            component_of(each)
            for each in (*PLAIN.of_kind("Deployment"), *PLAIN.of_kind("Job"))
            if selector.get("matchLabels", selector).items()
            <= each["spec"]["template"]["metadata"]["labels"].items()
        ]
        assert selected == [component_of(manifest)]


def test_pods_run_without_rights(rendered: Rendered) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    [uid] = re.findall(r"useradd .*--uid (\d+)", dockerfile)
    pods = list(rendered.pods())
    assert len(pods) == len(PROCESSES) + len(rendered.of_kind("Job"))
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["runAsUser"] == int(uid)
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        for container in (*pod["containers"], *pod.get("initContainers", ())):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert "memory" in container["resources"]["limits"]
            assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"]


def test_prometheus_finds_the_metrics_under_the_names_of_jobs_that_alerts_know() -> None:
    rendered = render(EVERYTHING)
    [monitor] = rendered.of_kind("ServiceMonitor")
    spec = ServiceMonitorSpec.model_validate(monitor["spec"])
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    [endpoint] = spec.endpoints
    for component in PROCESSES:
        service = rendered.of("Service", component)
        labels = service["metadata"]["labels"]
        assert spec.selector.matchLabels.items() <= labels.items()
        assert endpoint.port in {each["name"] for each in service["spec"]["ports"]}
    [relabeling] = endpoint.relabelings
    assert relabeling.sourceLabels == [
        "__meta_kubernetes_service_label_" + re.sub("[./]", "_", COMPONENT)
    ]
    assert (relabeling.targetLabel, relabeling.replacement) == ("job", "parley-$1")


def test_alerts_and_dashboards_are_those_of_the_files() -> None:
    rendered = render(EVERYTHING)
    [rules] = rendered.of_kind("PrometheusRule")
    alerts = ROOT / "deploy" / "prometheus" / "alerts.yml"
    assert rules["spec"] == yaml.safe_load(alerts.read_text(encoding="utf-8"))
    [shown] = rendered.of_kind("ConfigMap")
    folder = ROOT / "deploy" / "grafana" / "dashboards"
    assert shown["data"] == {
        each.name: each.read_text(encoding="utf-8") for each in folder.glob("*.json")
    }
    assert shown["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert {
        each["apiVersion"] for each in PLAIN.manifests if "monitoring" in each["apiVersion"]
    } == set()
