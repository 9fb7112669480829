"""docker-compose.yml says the same as the Procfile, and the containers would find each other."""

import re
from pathlib import Path

import pytest

from parley.plan import LISTENERS, PROCFILE
from services.runtime.tracing import COLLECTOR_VARIABLES
from tests.support.compose import COMPOSE, lasting_services, required_variables
from tests.support.stack import Stack
from tools.env_example import SECTIONS, variables

LASTING = lasting_services()
KNOWN = {each.name for _, settings in SECTIONS for each in variables(settings)}
# The gateway's port has two names; the container's own is told apart from the published one.
KNOWN |= {*COLLECTOR_VARIABLES}
KNOWN |= {name for each in LISTENERS for name in each.variables}


def test_commands_are_those_of_the_procfile() -> None:
    procfile = dict(
        line.split(": ", 1) for line in PROCFILE.read_text(encoding="utf-8").splitlines()
    )
    assert {name: each["command"] for name, each in LASTING.items()} == procfile


@pytest.mark.parametrize("name", LASTING)
def test_environments_name_real_settings(name: str) -> None:
    assert set(LASTING[name]["environment"]) <= KNOWN


@pytest.mark.parametrize("name", LASTING)
def test_peers_are_waited_for_and_listen_where_they_are_called(name: str) -> None:
    called = re.findall(rf"\b({'|'.join(LASTING)}):(\d+)", str(LASTING[name]["environment"]))
    for peer, port in called:
        ports = {
            value
            for variable, value in LASTING[peer]["environment"].items()
            if variable.endswith("_PORT")
        }
        assert port in ports
        # The engine calls back the gateway, which waits for all others.
        assert peer in LASTING[name].get("depends_on", {}) or name == "engine"


def test_only_loopback_is_published() -> None:
    published = [port for each in LASTING.values() for port in each.get("ports", ())]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_secrets_must_be_given() -> None:
    assert required_variables() == {
        "CALLBACK_SECRET",
        "ENGINE_SERVER_SECRET",
        "GATEWAY_API_KEYS",
        "PARLEY_SERVICE_TOKEN",
    }


def test_the_image_starts_what_the_file_names() -> None:
    dockerfile = (Path(COMPOSE).parent / "Dockerfile").read_text(encoding="utf-8")
    assert "USER parley" in dockerfile
    for volume in ("/models", "/journal"):
        assert volume in dockerfile


def test_its_very_commands_run(stack: Stack) -> None:
    assert {name for name in LASTING if stack.pid(name)} == set(LASTING)
