"""The chart is of one mind with the processes that it runs."""

import os
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from pydantic import SecretStr

from gateway.access.principal import Clearance
from gateway.access.routes import needed_for
from gateway.server import drain, serving
from gateway.settings import GatewaySettings
from parley.plan.paths import PROCFILE
from services.avatar.app import CUT_OFF_S
from services.avatar.settings import AvatarSettings
from services.runtime.security.identities import Identity
from services.runtime.serving.server import ServingOptions
from services.runtime.settings.environment import ProcessSettings, load, variables
from services.speech.conversation.conversation import LAST_TURN_S
from services.speech.conversation.task_records import LAST_WRITE_S
from services.speech.embedded.library import LibrarySettings
from services.speech.settings import SpeechSettings
from services.task.settings import TaskSettings
from tests.support.authority import Authority
from tests.support.chart import (
    BARE,
    COMPONENT,
    EVERYTHING,
    PROCESSES,
    ROOT,
    Rendered,
    component_of,
    components,
    render,
    variables_of,
)
from tests.support.promql import registered_labels, selections

SETTINGS: Mapping[str, tuple[type[ProcessSettings], ...]] = {
    "gateway": (GatewaySettings,),
    "task": (TaskSettings,),
    "speech": (SpeechSettings, LibrarySettings),
    "avatar": (AvatarSettings,),
}
# Not there yet: where replicas reach each other, and the limits of calls that they share.
AWAITED = {
    "services.avatar.migrate",
    "AVATAR_ADVERTISED_ADDRESS",
    "AVATAR_DATABASE",
}
SECRETS = {
    "<parley/database>": "postgresql://parley:secret@database/parley",
    "<parley/server-secret>": "0123456789abcdef0123456789abcdef",
}
TLS_MOUNT = "/tls"
SERVICE_DRAIN_S = ServingOptions(host="", port=0).drain_s

PLAIN = render()


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


def certificate_of(component: str, folder: Path) -> dict[str, str]:
    """Return where the files of a certificate are by where a secret's would be."""
    files = Authority(folder).issue(Identity(component).dns_name)
    keys = {"certificate": "tls.crt", "key": "tls.key", "authorities": "ca.crt"}
    return {f"{TLS_MOUNT}/{keys[part]}": str(path) for part, path in files}


@pytest.mark.parametrize("component", PROCESSES)
def test_the_process_accepts_its_settings(
    component: str, rendered: Rendered, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mounted = certificate_of(component, tmp_path)
    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name, value in rendered.variables(component).items():
        given = SECRETS.get(value, value).replace("$(POD_IP)", "10.0.0.7")
        monkeypatch.setenv(name, mounted.get(given, given))
    for settings in SETTINGS[component]:
        loaded = load(settings)
        assert getattr(loaded, "host", "0.0.0.0") == "0.0.0.0"
        assert getattr(loaded, "metrics_port", 9090) == 9090
        assert getattr(loaded, "metrics_host", "0.0.0.0") == "0.0.0.0"


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
    is_encrypted = f"{prefix}_TLS_KEY_FILE" in given
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        if component != "gateway" and is_encrypted:
            command = ["python", "-m", "parley.readiness", component]
            assert container[probe]["exec"]["command"] == command
        else:
            asked = container[probe].get("grpc") or container[probe]["httpGet"]
            assert asked["port"] == main


@pytest.mark.parametrize("component", PROCESSES)
def test_a_certificate_is_for_the_process_that_mounts_it(component: str) -> None:
    rendered = render(EVERYTHING)
    certificate = rendered.of("Certificate", component)["spec"]
    assert certificate["dnsNames"] == [Identity(component).dns_name]
    assert {"server auth", "client auth"} <= set(certificate["usages"])
    assert certificate["issuerRef"] == {"name": "parley", "kind": "ClusterIssuer"}
    [volume] = [each for each in rendered.pod(component)["volumes"] if each["name"] == "tls"]
    assert volume["secret"]["secretName"] == certificate["secretName"]
    mount = {"name": "tls", "mountPath": TLS_MOUNT, "readOnly": True}
    assert mount in rendered.container(component)["volumeMounts"]
    own = render({"tls": {"mode": "secrets", "secrets": {component: "mine"}}})
    assert own.of_kind("Certificate") == []
    [volume] = [each for each in own.pod(component)["volumes"] if each["name"] == "tls"]
    assert volume["secret"]["secretName"] == "mine"


@pytest.mark.parametrize("component", PROCESSES)
def test_what_a_mesh_protects_is_said_to_be_plain(component: str) -> None:
    given = PLAIN.variables(component)
    assert ("PARLEY_PLAIN_NETWORK" in given) is (component != "gateway")
    assert not any("_TLS_" in name for name in given)
    assert [each["name"] for each in PLAIN.pod(component)["volumes"]].count("tls") == 0


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
    assert {needed_for("GET", path) for path in paths.values()} == {Clearance.NONE}


@pytest.mark.parametrize(
    ("component", "drain_s"),
    [
        ("gateway", drain.SOCKETS_S + serving.GRACE_S),
        ("task", SERVICE_DRAIN_S),
        ("speech", SERVICE_DRAIN_S + LAST_TURN_S + LAST_WRITE_S),
        ("avatar", AvatarSettings.model_fields["drain_s"].default + CUT_OFF_S),
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
    pod = job["spec"]["template"]["spec"]
    assert pod["restartPolicy"] == "Never"
    assert [each["name"] for each in pod["containers"]] == ["task", "avatar"]
    for container in pod["containers"]:
        python, option, module = container["args"]
        assert (python, option) == ("python", "-m")
        assert module in AWAITED or find_spec(module) is not None
        assert variables_of(container) == PLAIN.variables(container["name"])


def test_only_the_migration_needs_a_role_that_may_create_tables() -> None:
    role = {"name": "owner", "key": "uri"}
    rendered = render({"migration": {"database": role}})
    pod = rendered.of("Job", "migration")["spec"]["template"]["spec"]
    for container in pod["containers"]:
        name = f"{container['name'].upper()}_DATABASE"
        assert variables_of(container)[name] == "<owner/uri>"
        assert rendered.variables(container["name"])[name] == "<parley/database>"


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
