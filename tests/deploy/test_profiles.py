"""What docker-compose.yml starts on request: it fits what runs anyway, and disturbs nothing."""

import re
from typing import Any

import pytest
import yaml

from tests.support.alerts import BY_NAME
from tests.support.chart import PROCESSES
from tests.support.compose import COMPOSE, process_services
from tests.support.promql import selections

DEPLOY = COMPOSE.parent / "deploy"
EXTRA = yaml.safe_load((DEPLOY / "compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = EXTRA["services"]
PROMETHEUS = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text(encoding="utf-8"))
LASTING = process_services()


def mounted(service: str) -> dict[str, str]:
    """Return what a service finds at which path."""
    parts = (each.split(":") for each in SERVICES[service]["volumes"])
    return {target: source for source, target, *_ in parts}


def test_the_compose_file_includes_them() -> None:
    main = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    assert main["include"] == ["deploy/compose.yml"]
    assert set(main["services"]) & set(SERVICES) == set()


def test_nothing_starts_unasked() -> None:
    profiles = {name: each["profiles"] for name, each in SERVICES.items()}
    assert profiles == {
        "postgres": ["postgres"],
        "prometheus": ["monitoring"],
        "grafana": ["monitoring"],
    }
    text = (DEPLOY / "compose.yml").read_text(encoding="utf-8")
    # A variable that must be set would stop those who want none of this.
    assert re.findall(r"\$\{\w+:?\?", text) == []


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
def test_images_are_pinned_and_ports_are_this_machines(service: dict[str, Any]) -> None:
    assert re.fullmatch(r"[\w/-]+:v?\d[\w.-]+@sha256:[0-9a-f]{64}", service["image"])
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_mounted_is_there(name: str) -> None:
    for source in mounted(name).values():
        assert (DEPLOY / source).exists() if "/" in source else source in EXTRA["volumes"]


def test_the_journal_may_be_in_postgresql() -> None:
    task = LASTING["task"]
    assert task["environment"]["TASK_DATABASE"] == "${DATABASE_URL:-/journal/tasks.db}"
    # Where it runs it is waited for, and where it does not nobody waits.
    assert task["depends_on"]["postgres"] == {"condition": "service_healthy", "required": False}
    assert "healthcheck" in SERVICES["postgres"]


def test_prometheus_asks_every_process_under_the_name_that_alerts_know() -> None:
    jobs = {each["job_name"]: each["dns_sd_configs"] for each in PROMETHEUS["scrape_configs"]}
    assert set(jobs) == {f"parley-{each}" for each in PROCESSES}
    for process in PROCESSES:
        [found] = jobs[f"parley-{process}"]
        port = LASTING[process]["environment"][f"{process.upper()}_METRICS_PORT"]
        assert found == {"names": [process], "type": "A", "port": int(port)}
    asked = {
        matcher.value
        for each in selections(BY_NAME["ParleyServiceMissing"].expr)
        for matcher in each.matchers
    }
    assert asked == set(jobs)


def test_prometheus_reads_the_alerts() -> None:
    found = mounted("prometheus")
    assert PROMETHEUS["rule_files"] == ["alerts.yml"]
    assert found["/etc/prometheus/alerts.yml"] == "./prometheus/alerts.yml"
    assert found["/etc/prometheus/prometheus.yml"] == "./prometheus/prometheus.yml"


def test_grafana_shows_the_dashboards_of_prometheus() -> None:
    found = mounted("grafana")
    provisioning = DEPLOY / found["/etc/grafana/provisioning"]
    [source] = yaml.safe_load((provisioning / "datasources/prometheus.yml").read_text())[
        "datasources"
    ]
    assert source["url"] == "http://prometheus:9090"
    assert source["isDefault"]
    [provider] = yaml.safe_load((provisioning / "dashboards/parley.yml").read_text())["providers"]
    folder = provider["options"]["path"]
    assert found[folder] == "./grafana/dashboards"
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (DEPLOY / "grafana/dashboards" / home.removeprefix(f"{folder}/")).exists()


def test_grafana_reports_to_nobody_and_lets_nobody_change_anything() -> None:
    settings = SERVICES["grafana"]["environment"]
    for name in ("REPORTING_ENABLED", "CHECK_FOR_UPDATES", "CHECK_FOR_PLUGIN_UPDATES"):
        assert settings[f"GF_ANALYTICS_{name}"] == "false"
    assert settings["GF_NEWS_NEWS_FEED_ENABLED"] == "false"
    assert settings["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert settings["GF_AUTH_DISABLE_LOGIN_FORM"] == "true"
