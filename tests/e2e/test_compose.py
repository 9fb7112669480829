"""docker-compose.yml says the same as the Procfile, and the containers would find each other."""

import asyncio
import re
import ssl
from collections import defaultdict
from pathlib import Path
from typing import Any

import grpc
import httpx
import psutil
import pytest
from cryptography import x509
from grpc_health.v1 import health_pb2, health_pb2_grpc
from pydantic_settings import BaseSettings

from engine.settings import EngineSettings
from gateway.settings import GatewaySettings
from parley.plan.listeners import LISTENERS
from parley.plan.paths import PROCFILE
from services.avatar.settings import AvatarSettings
from services.runtime.callers.requests import Metadata
from services.runtime.security.identities import Identity
from services.runtime.telemetry.tracing import COLLECTOR_VARIABLES
from services.speech.embedded.library import LibrarySettings
from services.speech.settings import SpeechSettings
from services.task.settings import TaskSettings
from tests.support.compose import (
    COMPOSE,
    all_services,
    bytes_of,
    localized,
    process_services,
    required_variables,
)
from tests.support.stack import Stack
from tools.env_example import SECTIONS, variables

PROCESSES = process_services()
KNOWN = {each.name for _, settings in SECTIONS for each in variables(settings)}
# The gateway's port has two names; the container's own is told apart from the published one.
KNOWN |= {*COLLECTOR_VARIABLES}
KNOWN |= {name for each in LISTENERS for name in each.variables}


def test_commands_are_those_of_the_procfile() -> None:
    procfile = dict(
        line.split(": ", 1) for line in PROCFILE.read_text(encoding="utf-8").splitlines()
    )
    assert {name: each["command"] for name, each in PROCESSES.items()} == procfile


@pytest.mark.parametrize("name", PROCESSES)
def test_environments_name_real_settings(name: str) -> None:
    assert set(PROCESSES[name]["environment"]) <= KNOWN


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("avatar", AvatarSettings),
        ("task", TaskSettings),
        ("speech", SpeechSettings),
        ("speech", LibrarySettings),
        ("gateway", GatewaySettings),
        ("engine", EngineSettings),
    ],
)
def test_every_setting_reaches_its_container(name: str, settings: type[BaseSettings]) -> None:
    told = {each.name: f"told-{each.name}" for each in variables(settings)}
    folders: defaultdict[str, Path] = defaultdict(lambda: Path("/volume"))
    services = localized(dict.fromkeys(required_variables(), "s") | told, folders).services
    [environment] = [each.environment for each in services if each.name == name]
    # What the containers know of each other is not the operator's to say.
    fixed = set(PROCESSES[name]["environment"]) - required_variables()
    assert {each: environment.get(each) for each in told.keys() - fixed} == {
        each: value for each, value in told.items() if each not in fixed
    }


def test_a_setting_is_fixed_only_where_containers_differ() -> None:
    fixed = {
        variable
        for each in PROCESSES.values()
        for variable, value in each["environment"].items()
        if "$" not in value
    }
    kinds = re.compile(
        r".*_(HOST|PORT|TARGET|CERTIFICATE|SIGNATURES|URL)|.*_TLS_.*_FILE|PARLEY_CACHE"
        r"|TASK_DATABASE"
    )
    assert {variable for variable in fixed if not kinds.fullmatch(variable)} == set()


def test_what_a_container_writes_is_a_volume_of_the_image_s_user() -> None:
    dockerfile = (COMPOSE.parent / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", "")
    [owned] = re.findall(r"install -d -o parley -g parley (.+)", dockerfile)
    mounts = {
        each.split(":")[1] for it in all_services().values() for each in it.get("volumes", ())
    }
    assert mounts == set(owned.split())


@pytest.mark.parametrize("name", Identity)
def test_a_service_has_its_own_key_and_no_other(name: Identity) -> None:
    holders = {
        service
        for service, each in all_services().items()
        for volume in each.get("volumes", ())
        if volume.split(":")[0] == f"tls-{name}"
    }
    if name is Identity.OPERATOR:
        assert holders == set()
        return
    assert holders == {"certificates", name}
    own = PROCESSES[name]
    mounts = [each for each in own["volumes"] if each.startswith("tls")]
    assert mounts == [f"tls-{name}:/tls:ro"]
    assert own["depends_on"]["certificates"] == {"condition": "service_healthy"}


@pytest.mark.parametrize("name", PROCESSES)
def test_peers_are_waited_for_and_listen_where_they_are_called(name: str) -> None:
    called = re.findall(rf"\b({'|'.join(PROCESSES)}):(\d+)", str(PROCESSES[name]["environment"]))
    for peer, port in called:
        ports = {
            value
            for variable, value in PROCESSES[peer]["environment"].items()
            if variable.endswith("_PORT")
        }
        assert port in ports
        # The engine calls back the gateway, which waits for all others.
        assert peer in PROCESSES[name].get("depends_on", {}) or name == "engine"


def test_only_loopback_is_published() -> None:
    published = [port for each in PROCESSES.values() for port in each.get("ports", ())]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_secrets_must_be_given() -> None:
    assert required_variables() == {
        "CALLBACK_SECRET",
        "ENGINE_SERVER_SECRET",
        "GATEWAY_API_KEYS",
        "PARLEY_SERVICE_TOKEN",
    }


def test_the_image_runs_as_nobody_special() -> None:
    dockerfile = (COMPOSE.parent / "Dockerfile").read_text(encoding="utf-8")
    assert "USER parley" in dockerfile


@pytest.mark.timeout(300)
def test_its_very_commands_run(stack: Stack) -> None:
    assert {name for name in PROCESSES if stack.pid(name)} == set(PROCESSES)


@pytest.mark.timeout(300)
async def test_they_show_their_metrics(stack: Stack, http: httpx.AsyncClient) -> None:
    for name in ("gateway", "task", "speech", "avatar"):
        host = stack.target(name).rpartition(":")[0]
        port = PROCESSES[name]["environment"][f"{name.upper()}_METRICS_PORT"]
        answer = await http.get(f"http://{host}:{port}/metrics")
        assert "# TYPE parley_" in answer.text, stack.tell()


async def ended_drive(engine: httpx.AsyncClient, stream_id: str) -> dict[str, Any]:
    """The one drive of a stream when it is over; what was heard is known a moment before."""
    async with asyncio.timeout(60):
        while True:
            found = await engine.get("/recordings", params={"stream_id": stream_id})
            [drive] = found.raise_for_status().json()["drives"]
            if drive["ended_time"]:
                return dict(drive)
            await asyncio.sleep(0.05)


@pytest.mark.timeout(300)
async def test_a_question_gets_a_reply_that_is_heard(
    stack: Stack, http: httpx.AsyncClient, engine: httpx.AsyncClient, task_id: str
) -> None:
    question = {"taskId": task_id, "text": "When do you open?"}
    answer = await http.post("/api/digital-human/talk-to-ai", json=question)
    assert answer.status_code == 200, f"{answer.text}\n{stack.tell()}"
    found = await http.get(f"/api/digital-human/tasks/{task_id}/conversation")
    [turn] = found.raise_for_status().json()["turns"]
    assert turn["heard"] == turn["reply"] == answer.json()["reply"] != ""
    task = (await http.get(f"/api/digital-human/tasks/{task_id}")).raise_for_status().json()
    drive = await ended_drive(engine, task["streamId"])
    assert drive["played_samples"] == drive["received_samples"] > 0


@pytest.mark.timeout(300)
def test_drive_sockets_show_the_certificate_of_the_engine_s_name(stack: Stack) -> None:
    host = stack.target("engine").rpartition(":")[0]
    port = PROCESSES["engine"]["environment"]["ENGINE_DRIVE_PORT"]
    shown = ssl.get_server_certificate((host, int(port)))
    names = (
        x509.load_pem_x509_certificate(shown.encode())
        .extensions.get_extension_for_class(x509.SubjectAlternativeName)
        .value
    )
    # Not for the address, which is another in each network.
    assert [each.value for each in names] == ["engine"]
    avatar = PROCESSES["avatar"]["environment"]["AVATAR_ENGINE_CERTIFICATE"]
    assert avatar == PROCESSES["engine"]["environment"]["ENGINE_DRIVE_CERTIFICATE"]
    assert "DRIVE SERVERS ARE NOT VERIFIED" not in "\n".join(stack.logs["avatar"])


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["task", "speech", "avatar"])
async def test_services_answer_only_who_has_a_certificate(
    stack: Stack, token: Metadata, name: str
) -> None:
    request = health_pb2.HealthCheckRequest()
    async with stack.channel(name) as channel:
        answer = await health_pb2_grpc.HealthStub(channel).Check(request, metadata=token)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    async with grpc.aio.insecure_channel(stack.target(name)) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await health_pb2_grpc.HealthStub(channel).Check(request, metadata=token)
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.timeout(300)
async def test_a_conversation_needs_less_than_containers_may_take(
    stack: Stack, http: httpx.AsyncClient, task_id: str
) -> None:
    question = {"taskId": task_id, "text": "When do you open?"}
    (await http.post("/api/digital-human/talk-to-ai", json=question)).raise_for_status()
    for name, service in PROCESSES.items():
        main = psutil.Process(stack.pid(name))
        processes = [main, *main.children(recursive=True)]
        # Half of it is for more conversations, and for larger models.
        resident = sum(each.memory_info().rss for each in processes)
        assert resident <= bytes_of(service["mem_limit"]) / 2, name
        # To the system, a thread is a process.
        threads = sum(each.num_threads() for each in processes)
        assert threads <= service["pids_limit"] / 2, name
