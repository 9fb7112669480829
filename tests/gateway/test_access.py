"""Who may call: keys, origins, rates; and what a start without keys is allowed to do."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import httpx
import pytest
import pytest_asyncio
from structlog.testing import capture_logs
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from gateway.access.rate_limit import RateLimit
from gateway.middleware.access import tell_that_credentials_are_ignored
from gateway.middleware.hosts import is_loopback
from gateway.settings import GatewaySettings
from services.runtime.failures.errors import ServiceError
from services.runtime.settings.environment import SettingsError, load
from tests.support.gateway_rig import RunningGateway, running_gateway

KEYS = ("first-key", "second-key")
GUARDED = [
    ("GET", "/api/config"),
    ("GET", "/api/token?userId=u"),
    ("GET", "/api/digital-human/tasks"),
    ("POST", "/api/digital-human/create-task"),
    ("POST", "/api/digital-human/talk-to-ai"),
    ("GET", "/metrics"),
    ("GET", "/api/nothing"),
]
shared = pytest.mark.asyncio(loop_scope="module")
OPEN = ["/", "/livez", "/readyz", "/docs", "/docs/swagger-ui.css", "/openapi.json"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def locked() -> AsyncIterator[RunningGateway]:
    """A gateway with keys that does not count bad ones."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("gateway.access.authenticator.FAILURES_PER_SECOND", 1000.0)
        async with running_gateway(keys=KEYS, origins=("https://app.example",)) as running:
            yield running


async def test_an_open_gateway_logs_once_that_it_ignores_credentials() -> None:
    tell_that_credentials_are_ignored.cache_clear()
    async with running_gateway() as gateway:
        with capture_logs() as entries:
            for headers in ({}, {"X-Api-Key": "wrong"}, {"X-Api-Key": "wrong again"}):
                answer = await gateway.client.get("/api/digital-human/tasks", headers=headers)
                assert answer.status_code == 200
    told = [each["event"] for each in entries if "credentials" in each["event"]]
    assert told == ["credentials ignored: the gateway is open, and whoever calls may do everything"]


async def test_nobody_is_refused_for_the_gateways_own_token() -> None:
    async with running_gateway(keys=KEYS, service_token="that of nobody") as gateway:
        for credential in (KEYS[0], "parley_key_of_the_directory"):
            answer = await gateway.client.get(
                "/api/digital-human/tasks", headers={"X-Api-Key": credential}
            )
            assert (answer.status_code, answer.json()["reason"]) == (503, "DEPENDENCY_UNAVAILABLE")


@pytest.mark.parametrize(("method", "path"), GUARDED)
@shared
async def test_a_key_is_required(locked: RunningGateway, method: str, path: str) -> None:
    for headers in (
        [],
        [(b"authorization", b"Bearer wrong")],
        [(b"authorization", b"Basic first-key")],
        [(b"x-api-key", b"")],
        [(b"x-api-key", "ключ".encode())],
    ):
        answer = await locked.client.request(method, path, headers=headers)
        assert answer.status_code == 401
        assert answer.json()["reason"] == "CREDENTIALS_INVALID"
        assert answer.headers["www-authenticate"] == "Bearer"
    assert not locked.tasks.creates


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer first-key"},
        {"authorization": "bearer second-key"},
        {"x-api-key": "second-key"},
    ],
)
@shared
async def test_every_key_opens(locked: RunningGateway, headers: dict[str, str]) -> None:
    answer = await locked.client.get("/api/config", headers=headers)
    assert answer.status_code == 200
    assert answer.json()["needsKey"] is True


@pytest.mark.parametrize("path", OPEN)
@shared
async def test_some_paths_are_open(locked: RunningGateway, path: str) -> None:
    assert (await locked.client.get(path)).status_code == 200


@shared
async def test_the_signed_callback_needs_no_key(locked: RunningGateway) -> None:
    answer = await locked.client.post(
        "/api/callbacks/zego", json={"Signature": "good", "TaskId": "avatar-9", "Status": 4}
    )
    assert answer.status_code == 200
    assert locked.tasks.refreshed == ["avatar-9"]


@shared
async def test_allowed_origins_are_told_to_browsers(locked: RunningGateway) -> None:
    preflight = {
        "origin": "https://app.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type",
    }
    path = "/api/digital-human/create-task"
    allowed = await locked.client.options(path, headers=preflight)
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == "https://app.example"
    foreign = await locked.client.options(path, headers=preflight | {"origin": "https://evil.test"})
    assert "access-control-allow-origin" not in foreign.headers
    problem = await locked.client.post(path, headers={"origin": "https://app.example"})
    assert problem.headers["access-control-allow-origin"] == "https://app.example"


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.test"},
        {"origin": "null"},
        {"host": "evil.test:8080"},
        {"host": "evil.test:8080", "origin": "http://evil.test:8080"},
    ],
)
@shared
async def test_without_keys_other_sites_are_refused(
    shared_gateway: RunningGateway, headers: dict[str, str]
) -> None:
    answer = await shared_gateway.client.get("/api/config", headers=headers)
    assert (answer.status_code, answer.json()["reason"]) == (403, "PERMISSION_DENIED")


@pytest.mark.parametrize("origin", ["http://localhost:5173", "http://127.0.0.1:3000"])
@shared
async def test_without_keys_local_pages_may_call(
    shared_gateway: RunningGateway, origin: str
) -> None:
    answer = await shared_gateway.client.get("/api/config", headers={"origin": origin})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == origin
    assert answer.json()["needsKey"] is False


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LocalHost:8080",
        "localhost.:8080",
        "app.localhost:1",
        "127.0.0.1:8080",
        "127.9.9.9",
        "[::1]",
        "[0:0:0:0:0:0:0:1]:8080",
    ],
)
@shared
async def test_every_way_to_write_loopback_is_served(
    shared_gateway: RunningGateway, host: str
) -> None:
    answer = await shared_gateway.client.get("/api/config", headers={"host": host})
    assert answer.status_code == 200


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def emulated() -> AsyncIterator[RunningGateway]:
    """A gateway that Android emulators and a test bench know by names of their own."""
    names = "10.0.2.2, 10.0.3.2 ,Bench.Example.,[fd00::0:2]"
    hosts = GatewaySettings(allowed_hosts=names).hosts
    async with running_gateway(hosts=hosts) as running:
        yield running


@pytest.mark.parametrize(
    "host",
    [
        "10.0.2.2:8080",
        "10.0.3.2",
        "bench.example:1",
        "BENCH.example.",
        "[fd00::2]:80",
        "[FD00:0:0::2]",
        "localhost:8080",
    ],
)
@shared
async def test_allowed_names_are_served_too(emulated: RunningGateway, host: str) -> None:
    headers = {"host": host}
    assert (await emulated.client.get("/api/config", headers=headers)).status_code == 200
    page = headers | {"origin": f"http://{host}"}
    assert (await emulated.client.get("/api/config", headers=page)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "10.0.2.20"},
        {"host": "10.0.2.2.evil.test"},
        {"host": "evil.test@10.0.2.2"},
        {"host": "10.0.2.2@evil.test"},
        {"host": "evil.test:10.0.2.2"},
        {"host": "x.bench.example"},
        {"host": "[fd00::3]"},
        {"host": "[fd00::2"},
        {"host": ""},
        # In a browser on this machine, the name may belong to another machine.
        {"host": "127.0.0.1:8080", "origin": "http://10.0.2.2:8080"},
        {"host": "10.0.2.2", "origin": "https://evil.test"},
        {"host": "10.0.2.2", "origin": "null"},
        {"host": "10.0.2.2", "origin": "file://10.0.2.2"},
    ],
)
@shared
async def test_no_other_name_is_let_in_by_them(
    emulated: RunningGateway, headers: dict[str, str]
) -> None:
    answer = await emulated.client.get("/api/config", headers=headers)
    assert (answer.status_code, answer.json()["reason"]) == (403, "PERMISSION_DENIED")


@shared
async def test_an_allowed_name_opens_the_line(emulated: RunningGateway) -> None:
    task_id = await emulated.create()
    address = f"ws://10.0.2.2:8080/api/digital-human/talk?taskId={task_id}"
    port = int(emulated.url.rpartition(":")[2])

    def call() -> str:
        with (
            socket.create_connection(("127.0.0.1", port)) as way,
            connect(address, sock=way) as line,
        ):
            return str(line.recv())

    assert '"ready"' in await asyncio.to_thread(call)


@pytest.mark.parametrize(
    "names", ["*", "10.0.2.2:8080", "http://10.0.2.2", "*.example", "a b", "::zz", "[::1]:80", "@"]
)
def test_what_is_no_name_is_refused_at_start(names: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_ALLOWED_HOSTS", f"localhost,{names}")
    with pytest.raises(SettingsError, match="GATEWAY_ALLOWED_HOSTS"):
        load(GatewaySettings)


async def test_too_many_requests_are_told_to_wait() -> None:
    async with running_gateway(requests_per_second=0.01) as gateway:
        answer = await gateway.client.get("/api/digital-human/tasks")
        assert (answer.status_code, answer.json()["reason"]) == (429, "RATE_LIMITED")
        assert int(answer.headers["retry-after"]) >= 1
        assert (await gateway.client.get("/livez")).status_code == 200


def test_a_bucket_refills_and_callers_do_not_share_it() -> None:
    now = 0.0
    limit = RateLimit(per_second=1, clock=lambda: now)
    limit.take("ada")
    limit.take("ada")
    with pytest.raises(ServiceError) as caught:
        limit.take("ada")
    assert caught.value.retry_after_s == 1
    limit.take("bob")
    now = 1.0
    limit.take("ada")
    with pytest.raises(ServiceError):
        limit.take("ada")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "parley.example"])
def test_an_open_gateway_binds_to_loopback_only(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("GATEWAY_HOST", host)
    monkeypatch.delenv("GATEWAY_API_KEYS", raising=False)
    with pytest.raises(SettingsError, match=r"GATEWAY_API_KEYS: .*loopback"):
        load(GatewaySettings)
    monkeypatch.setenv("GATEWAY_API_KEYS", f" {'1' * 16}, ,{'2' * 16} ")
    assert load(GatewaySettings).accepted_keys == ("1" * 16, "2" * 16)


@pytest.mark.parametrize("name", ["PORT", "GATEWAY_PORT"])
def test_the_port_has_two_names(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for each in ("PORT", "GATEWAY_PORT"):
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setenv(name, "9999")
    assert load(GatewaySettings).port == 9999


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("page.localhost", True),
        ("0.0.0.0", False),
        ("localhost.evil.test", False),
        ("", False),
    ],
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize("keys", ["short", f"{'1' * 16},short", "1" * 15])
def test_short_keys_are_refused_at_start(monkeypatch: pytest.MonkeyPatch, keys: str) -> None:
    monkeypatch.setenv("GATEWAY_API_KEYS", keys)
    with pytest.raises(SettingsError, match=r"GATEWAY_API_KEYS: .*16 characters") as caught:
        load(GatewaySettings)
    assert "short" not in str(caught.value)


def test_keys_stay_out_of_sight() -> None:
    assert "secret" not in repr(GatewaySettings(api_keys="a-long-secret-key"))


AS_IT_IS = ("-m", "gateway")
DESCRIBING = """
import runpy, sys
from fastapi import applications
from fastapi.openapi import utils

make = utils.get_openapi

def noted(**options):
    print("describes itself", file=sys.stderr, flush=True)
    return make(**options)

applications.get_openapi = utils.get_openapi = noted
runpy.run_module("gateway", run_name="__main__")
"""
TALKATIVE = """
import logging, runpy
logging.basicConfig(level=logging.DEBUG)
runpy.run_module("gateway", run_name="__main__")
"""


def start_gateway(*words: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *(words or AS_IT_IS)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_process_says_why_it_does_not_start() -> None:
    with start_gateway(GATEWAY_HOST="0.0.0.0", GATEWAY_API_KEYS="") as process:
        _, told = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "GATEWAY_API_KEYS" in told
    assert "Traceback" not in told


def test_the_process_serves_warns_and_stops_and_need_not_describe_itself() -> None:
    nobody = dict.fromkeys(
        ("GATEWAY_TASK_TARGET", "GATEWAY_SPEECH_TARGET", "GATEWAY_AVATAR_TARGET"), "127.0.0.1:1"
    )
    settings = {"PORT": "0", "GATEWAY_PORT": "0", "GATEWAY_API_KEYS": "", **nobody}
    with start_gateway("-c", DESCRIBING, **settings) as process:
        assert process.stderr is not None
        warned = process.stderr.readline()
        assert "OPEN: no credentials are needed" in warned
        url = process.stderr.readline().rpartition("url=")[2].strip()
        with httpx.Client(base_url=url, timeout=30) as client:
            assert client.get("/livez").status_code == 200
            assert client.get("/readyz").status_code == 503
            assert client.get("/openapi.json").json()["paths"]
        process.terminate()
        _, rest = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Traceback" not in rest
    assert "describes itself" not in rest


@contextmanager
def refusing_service() -> Iterator[str]:
    """Address of a gRPC server that knows no method: one that is not there is waited for."""
    with ThreadPoolExecutor() as pool:
        server = grpc.server(pool)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield f"127.0.0.1:{port}"
        server.stop(grace=None).wait()


def test_no_key_is_logged_however_much_is() -> None:
    environment = {"GATEWAY_PORT": "0", "GATEWAY_API_KEYS": "the-long-right-key"}
    with (
        refusing_service() as target,
        start_gateway("-c", TALKATIVE, GATEWAY_SPEECH_TARGET=target, **environment) as process,
    ):
        assert process.stderr is not None
        before: list[str] = []
        while "gateway up" not in (line := process.stderr.readline()):
            assert line, before
            before.append(line)
        url = line.rpartition("url=")[2].strip()
        for key in ("the-long-right-key", "the-long-wrong-key"):
            address = f"{url}/api/digital-human/talk?taskId=task_a&apiKey={key}"
            httpx.get(address, headers={"X-Api-Key": key}, timeout=30)
            with connect(address.replace("http", "ws", 1)) as client:
                assert "problem" in str(client.recv())
                with pytest.raises(ConnectionClosed):
                    client.recv()
        process.terminate()
        _, rest = process.communicate(timeout=60)
    told = "".join(before) + rest
    assert told.count("socket ended") == 2
    assert "DEBUG" in told
    assert "-key" not in told


def test_a_taken_port_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with start_gateway(GATEWAY_PORT=port, GATEWAY_API_KEYS="") as process:
            _, told = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Address already in use" in told
    assert "Traceback" not in told
