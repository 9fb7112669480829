"""The Helm chart: valid for Kubernetes, and of one mind with the processes that it runs."""

import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

import helm_python
import kubernetes_validate
import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from gateway.middleware.access import OPEN_PATHS
from gateway.server import drain, serving
from gateway.settings import GatewaySettings
from parley.plan import PROCFILE
from services.avatar.settings import AvatarSettings
from services.runtime.serving import ServingOptions
from services.runtime.settings import ProcessSettings, load, variables
from services.speech.conversation.conversation import LAST_TURN_S
from services.speech.conversation.task_records import LAST_WRITE_S
from services.speech.embedded.library import LibrarySettings
from services.speech.settings import SpeechSettings
from services.task.settings import TaskSettings
from tests.support.chart import (
    CHART,
    COMPONENT,
    PROCESSES,
    RELEASE,
    REQUIRED,
    Rendered,
    component_of,
    render,
)
from tests.support.promql import registered_labels, selections

ROOT = CHART.parents[2]
# The chart's own oldest version, and the newest that is known.
VERSIONS = ("1.27.0", kubernetes_validate.latest_version())
SETTINGS: Mapping[str, tuple[type[ProcessSettings], ...]] = {
    "gateway": (GatewaySettings,),
    "task": (TaskSettings,),
    "speech": (SpeechSettings, LibrarySettings),
    "avatar": (AvatarSettings,),
}
# Not read yet: where replicas reach each other, and the limits of calls that they share.
AWAITED = {
    "AVATAR_ADVERTISED_ADDRESS",
    "AVATAR_DATABASE",
    "SPEECH_ADVERTISED_ADDRESS",
    "TASK_ADVERTISED_ADDRESS",
}
SECRETS = {
    "<parley/database>": "postgresql://parley:secret@database/parley",
    "<parley/server-secret>": "0123456789abcdef0123456789abcdef",
}
SERVICE_DRAIN_S = ServingOptions(host="", port=0).drain_s
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

PLAIN = render()


class Strict(BaseModel):
    """An object of the Prometheus operator: nothing is unknown. Only what the chart uses."""

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


@pytest.fixture(params=VARIANTS, scope="module")
def rendered(request: pytest.FixtureRequest) -> Rendered:
    return render(VARIANTS[request.param])


def components(rendered: Rendered, kind: str) -> set[str]:
    return {component_of(each) for each in rendered.of_kind(kind)}


def test_helm_finds_nothing_wrong() -> None:
    found = helm_python.lint(CHART, dict(REQUIRED), strict=True)
    complaints = [each for each in found["messages"] if "icon" not in each["error"]]
    assert (complaints, found["errors"]) == ([], [])


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_knows_every_field(rendered: Rendered, version: str) -> None:
    for manifest in rendered.manifests:
        if not manifest["apiVersion"].startswith("monitoring.coreos.com/"):
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


def test_it_runs_what_the_procfile_runs(rendered: Rendered) -> None:
    procfile = dict(
        line.split(": ", 1) for line in PROCFILE.read_text(encoding="utf-8").splitlines()
    )
    commands = {each: " ".join(rendered.container(each)["args"]) for each in PROCESSES}
    assert commands == {name: procfile[name] for name in PROCESSES}


@pytest.mark.parametrize("component", PROCESSES)
def test_the_settings_are_those_of_the_process(component: str, rendered: Rendered) -> None:
    known = {
        name
        for settings in SETTINGS[component]
        for variable in variables(settings)
        for name in variable.names
    }
    assert set(rendered.variables(component)) <= known | {"POD_IP"} | AWAITED


@pytest.mark.parametrize("component", PROCESSES)
def test_the_process_accepts_its_settings(
    component: str, rendered: Rendered, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name, value in rendered.variables(component).items():
        monkeypatch.setenv(name, SECRETS.get(value, value).replace("$(POD_IP)", "10.0.0.7"))
    for settings in SETTINGS[component]:
        loaded = load(settings)
        assert getattr(loaded, "host", "0.0.0.0") == "0.0.0.0"
        assert getattr(loaded, "metrics_port", 9090) == 9090


@pytest.mark.parametrize("component", PROCESSES)
def test_every_secret_is_a_reference(component: str, rendered: Rendered) -> None:
    given = rendered.variables(component)
    for settings in SETTINGS[component]:
        for variable in variables(settings):
            if isinstance(variable.default, SecretStr) or re.search(
                "SECRET|TOKEN$|_KEYS?$|DATABASE$", variable.names[-1]
            ):
                assert all(given[name].startswith("<") for name in variable.names if name in given)
    assert rendered.of_kind("Secret") == []


def test_the_account_is_written_as_a_whole_number() -> None:
    assert PLAIN.variables("avatar")["APP_ID"] == "4294967295"


def test_settings_of_a_process_precede_those_of_all_and_of_the_chart() -> None:
    values = {
        "env": {"PARLEY_LOG_LEVEL": "warning", "TASK_MAX_RUNNING": "7"},
        "task": {"env": {"PARLEY_LOG_LEVEL": "debug", "TASK_METRICS_PORT": "9999"}},
    }
    found = render(values).variables("task")
    assert found["PARLEY_LOG_LEVEL"] == "debug"
    assert found["TASK_MAX_RUNNING"] == "7"
    assert found["TASK_METRICS_PORT"] == "9999"
    assert found["PARLEY_LOG_FORMAT"] == "json"


@pytest.mark.parametrize("component", PROCESSES)
def test_processes_listen_where_they_are_called(component: str, rendered: Rendered) -> None:
    container = rendered.container(component)
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    given = rendered.variables(component)
    prefix = component.upper()
    main = ports.pop("http" if component == "gateway" else "grpc")
    assert str(main) == given[f"{prefix}_PORT"]
    assert ports == {"metrics": int(given[f"{prefix}_METRICS_PORT"])}
    service = rendered.of("Service", component)["spec"]
    assert {each["targetPort"] for each in service["ports"]} == {
        each["name"] for each in container["ports"]
    }
    assert {each["port"] for each in service["ports"]} == {
        each["containerPort"] for each in container["ports"]
    }
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = container[probe].get("grpc") or container[probe]["httpGet"]
        assert asked["port"] == main


@pytest.mark.parametrize("component", PROCESSES)
def test_targets_are_services_that_have_the_address_of_every_pod(
    component: str, rendered: Rendered
) -> None:
    for name, value in rendered.variables(component).items():
        if not name.endswith("_TARGET"):
            continue
        callee = name.removesuffix("_TARGET").rpartition("_")[2].lower()
        service = rendered.of("Service", callee)
        port = rendered.variables(callee)[f"{callee.upper()}_PORT"]
        assert value == f"dns:///{service['metadata']['name']}:{port}"
        assert service["spec"]["clusterIP"] == "None"


def test_the_gateways_probes_are_its_routes() -> None:
    container = PLAIN.container("gateway")
    paths = {
        each: container[each]["httpGet"]["path"]
        for each in ("startupProbe", "readinessProbe", "livenessProbe")
    }
    # A service that is missing is no reason to start the gateway anew.
    assert paths == {
        "startupProbe": "/livez",
        "readinessProbe": "/readyz",
        "livenessProbe": "/livez",
    }
    assert set(paths.values()) <= OPEN_PATHS


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


def test_the_network_lets_through_who_calls_whom_and_nobody_else() -> None:
    targets = {
        caller: {
            name.removesuffix("_TARGET").rpartition("_")[2].lower()
            for name in PLAIN.variables(caller)
            if name.endswith("_TARGET")
        }
        for caller in PROCESSES
    }
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


@pytest.mark.parametrize(
    ("component", "drain_s"),
    [
        ("gateway", drain.SOCKETS_S + serving.GRACE_S),
        ("task", SERVICE_DRAIN_S),
        ("speech", SERVICE_DRAIN_S + LAST_TURN_S + LAST_WRITE_S),
        ("avatar", SERVICE_DRAIN_S),
    ],
)
def test_nobody_is_killed_while_it_drains(component: str, drain_s: float) -> None:
    for pre_stop_s in (5, 30):
        pod = render({"preStopSeconds": pre_stop_s}).pod(component)
        [container] = pod["containers"]
        waits = container["lifecycle"]["preStop"]["exec"]["command"]
        assert waits == ["sleep", str(pre_stop_s)]
        assert pod["terminationGracePeriodSeconds"] > pre_stop_s + drain_s


def test_replicas_go_one_by_one() -> None:
    for component in PROCESSES:
        strategy = PLAIN.of("Deployment", component)["spec"]["strategy"]
        assert strategy == {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
        spread = PLAIN.pod(component)["topologySpreadConstraints"]
        assert len({each["topologyKey"] for each in spread}) == 2
        for each in spread:
            assert each["labelSelector"]["matchLabels"][COMPONENT] == component


def test_the_number_of_replicas_has_one_master() -> None:
    for rendered in (PLAIN, render(BARE)):
        scaled = components(rendered, "HorizontalPodAutoscaler")
        fixed = {
            component_of(each)
            for each in rendered.of_kind("Deployment")
            if "replicas" in each["spec"]
        }
        assert (scaled & fixed, scaled | fixed) == (set(), set(PROCESSES))


def test_speech_is_scaled_by_conversations_and_otherwise_by_cpu() -> None:
    def metrics(rendered: Rendered, component: str) -> list[str]:
        found = rendered.of("HorizontalPodAutoscaler", component)["spec"]["metrics"]
        return [
            each["pods"]["metric"]["name"] if each["type"] == "Pods" else each["resource"]["name"]
            for each in found
        ]

    assert metrics(PLAIN, "speech") == ["parley_conversations", "cpu"]
    without = render({"speech": {"autoscaling": {"conversations": 0}}})
    assert metrics(without, "speech") == ["cpu"]
    assert metrics(PLAIN, "gateway") == ["cpu"]
    assert registered_labels("parley_conversations") == frozenset()


def test_the_adapter_shows_the_metric_that_scales() -> None:
    rules = yaml.safe_load((ROOT / "deploy/prometheus/adapter.yml").read_text(encoding="utf-8"))
    [rule] = rules["rules"]["custom"]
    [series] = selections(rule["seriesQuery"])
    assert series.metric == "parley_conversations"
    filled = {"<<.GroupBy>>": "pod", "<<.Series>>": series.metric, "<<.LabelMatchers>>": ""}
    query = rule["metricsQuery"]
    for placeholder, value in filled.items():
        query = query.replace(placeholder, value)
    [selected] = selections(query)
    assert list(selected.faults()) == []


def test_the_database_is_migrated_before_anything_is_replaced() -> None:
    job = PLAIN.of("Job", "migration")
    hooks = job["metadata"]["annotations"]
    assert hooks["helm.sh/hook"] == "pre-install,pre-upgrade"
    [container] = job["spec"]["template"]["spec"]["containers"]
    names = [each["name"] for each in container["env"]]
    assert names == ["PARLEY_LOG_FORMAT", "TASK_DATABASE"]
    assert job["spec"]["template"]["spec"]["restartPolicy"] == "Never"


def test_models_are_where_the_process_looks() -> None:
    pod = PLAIN.pod("speech")
    [download] = pod["initContainers"]
    assert download["args"] == ["parley", "models", "pull"]
    cache = PLAIN.variables("speech")["PARLEY_CACHE"]
    for container in (download, PLAIN.container("speech")):
        assert {"name": "models", "mountPath": cache} in container["volumeMounts"]
        assert {"name": "PARLEY_CACHE", "value": cache} in container["env"]
    kept = [
        each for each in render(EVERYTHING).pod("speech")["volumes"] if each["name"] == "models"
    ]
    assert kept == [{"name": "models", "persistentVolumeClaim": {"claimName": "models"}}]
    assert "initContainers" not in render(BARE).pod("speech")


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


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"cloud": {"appId": 0}}, "at '/cloud/appId': minimum"),
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
