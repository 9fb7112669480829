"""The Helm chart as Helm itself renders it, without a cluster."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import helm_python
import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "parley"
PROCESSES = ("gateway", "task", "speech", "avatar")
RELEASE, NAMESPACE = "parley", "production"
REQUIRED: Mapping[str, Any] = {"cloud": {"appId": 2**32 - 1}, "tls": {"mode": "plain"}}
"""What has no default."""
COMPONENT = "app.kubernetes.io/component"
EVERYTHING: Mapping[str, Any] = {
    "image": {"tag": "1", "pullSecrets": ["registry"]},
    "cloud": {"appId": 1, "url": "https://cloud.example", "digitalHumanId": "mia"},
    "gateway": {
        "nodeSelector": {"disk": "fast"},
        "tolerations": [{"key": "spot", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "podAnnotations": {"team": "talk"},
    },
    "speech": {
        "env": {"SPEECH_CHAT": "openai"},
        "secretEnv": {"OPENAI_API_KEY": {"name": "vendors", "key": "openai"}},
        "models": {"existingClaim": "models"},
    },
    "tls": {"mode": "cert-manager", "certManager": {"issuer": {"kind": "ClusterIssuer"}}},
    "ingress": {
        "enabled": True,
        "host": "talk.example",
        "className": "nginx",
        "tlsSecret": "talk-tls",
        "annotations": {"nginx.ingress.kubernetes.io/proxy-buffering": "off"},
    },
    "networkPolicy": {
        "gatewayFrom": [{"namespaceSelector": {"matchLabels": {"name": "ingress"}}}],
        "databaseTo": [{"ipBlock": {"cidr": "10.1.2.3/32"}}],
        "speechEgress": [{"ports": [{"port": 8000}]}],
        "avatarEgress": [{"ports": [{"port": 3128}]}],
        "egress": [{"ports": [{"port": 4318}]}],
    },
    "monitoring": {
        "from": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}],
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
        "dashboards": {"enabled": True},
    },
}
BARE: Mapping[str, Any] = {
    **{each: {"autoscaling": {"enabled": False}} for each in PROCESSES},
    "speech": {"autoscaling": {"enabled": False}, "models": {"download": False}},
    "migration": {"enabled": False},
    "networkPolicy": {"enabled": False},
}
VARIANTS = {"plain": {}, "everything": EVERYTHING, "bare": BARE}

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
        """Return a process's settings, references in angle brackets, as `<secret/key>`."""
        return variables_of(self.container(component))


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
        for manifest in yaml.load_all(text, Loader=yaml.CSafeLoader)
        if manifest is not None
    ]
    return Rendered(manifests=manifests)


def component_of(manifest: Manifest) -> str:
    """Return the component that a manifest belongs to."""
    component: str = manifest["metadata"]["labels"][COMPONENT]
    return component


def components(rendered: Rendered, kind: str) -> set[str]:
    """Return the components that have a manifest of a kind."""
    return {component_of(each) for each in rendered.of_kind(kind)}


def variables_of(container: Mapping[str, Any]) -> dict[str, str]:
    """Return a container's variables, references in angle brackets, as `<secret/key>`."""
    return {each["name"]: _value(each) for each in container["env"]}


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
