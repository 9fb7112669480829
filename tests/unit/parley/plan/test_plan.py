"""What `parley up` gives the processes that it starts."""

from pathlib import Path

import pytest

from parley.doctor.credentials import callbacks
from parley.load_balancer import NOTICED_S
from parley.plan.environment import complete
from parley.plan.errors import PlanError
from parley.plan.listeners import TARGETS
from parley.plan.ports import require_free_ports
from parley.plan.processes import processes

FOLDER = Path("/run/parley")


def test_one_secret_signs_and_checks_callbacks_by_default() -> None:
    made = complete({}, folder=FOLDER)
    assert made["CALLBACK_SECRET"] == made["ENGINE_CALLBACK_SECRET"] != ""
    assert complete({}, folder=FOLDER)["CALLBACK_SECRET"] != made["CALLBACK_SECRET"]


@pytest.mark.parametrize("name", ["CALLBACK_SECRET", "ENGINE_CALLBACK_SECRET"])
@pytest.mark.parametrize("suffix", ["", "_FILE"])
def test_a_secret_that_is_set_is_taken_by_both(name: str, suffix: str) -> None:
    found = complete({f"{name}{suffix}": "given"}, folder=FOLDER)
    for each in ("CALLBACK_SECRET", "ENGINE_CALLBACK_SECRET"):
        assert found[f"{each}{suffix}"] == "given"
        assert suffix == "" or each not in found


def test_two_secrets_stay_as_they_are_and_doctor_tells() -> None:
    given = {"CALLBACK_SECRET": "one", "ENGINE_CALLBACK_SECRET": "two"}
    assert complete(given, folder=FOLDER).items() >= given.items()
    [told] = callbacks(given)
    assert told.verdict == "problem"
    assert "one" not in told.found + told.remedy


@pytest.mark.parametrize(
    ("host", "reached"),
    [("", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("::1", "[::1]")],
)
def test_processes_find_each_other_where_they_listen(host: str, reached: str) -> None:
    hosts = {f"{name}_HOST": host for name in ("TASK", "SPEECH", "AVATAR", "ENGINE", "GATEWAY")}
    made = complete(hosts, folder=FOLDER)
    assert made["GATEWAY_TASK_TARGET"] == f"{reached}:50051"
    assert made["ENGINE_PUBLIC_HOST"] == reached.strip("[]")
    assert made["AVATAR_ENGINE_URL"] == f"http://{reached}:8090"
    assert made["ENGINE_CALLBACK_URL"] == f"http://{reached}:8080/api/callbacks/zego"


@pytest.mark.parametrize(
    ("name", "odd"),
    [
        *(("TASK_HOST", each) for each in ("a b", "http://host", "host:80", "999.1.1.1", "käse")),
        *(("SPEECH_PORT", each) for each in ("80a", "0", "65536", "-1", "８０", "8080.0")),
    ],
)
def test_where_nothing_can_listen_is_named(name: str, odd: str) -> None:
    with pytest.raises(PlanError, match=name):
        require_free_ports(processes({name: odd}))


# Below those that systems give to connections.
ELSEWHERE = {"ENGINE_PORT": "27600", "ENGINE_DRIVE_PORT": "27601", "AVATAR_PORT": "27602",
             "SPEECH_PORT": "27603", "TASK_PORT": "27604"}  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"PORT": "80a"}, "PORT must be a port"),
        ({"GATEWAY_PORT": "80a", "PORT": "8080"}, "GATEWAY_PORT must be a port"),
        ({"GATEWAY_HOST": "203.0.113.7"}, "GATEWAY_HOST must be an address of this machine"),
        (
            {"GATEWAY_PORT": "27651", "TASK_PORT": "27651"},
            "27651 is for task as well as for gateway: set GATEWAY_PORT",
        ),
        (
            {"GATEWAY_PORT": "27604", "TASK_HOST": "127.0.0.2", "GATEWAY_HOST": "0.0.0.0"},
            "27604 is for task as well as for gateway: set GATEWAY_PORT",
        ),
        (
            {"GATEWAY_PORT": "27604", "GATEWAY_HOST": "localhost"},
            "27604 is for task as well as for gateway: set GATEWAY_PORT",
        ),
    ],
)
def test_where_nothing_can_listen_the_setting_is_named(settings: dict[str, str], told: str) -> None:
    with pytest.raises(PlanError, match=f"(?m)^.*{told}"):
        require_free_ports(processes(ELSEWHERE | settings))


def test_one_port_of_two_addresses_is_no_conflict() -> None:
    apart = {"TASK_HOST": "127.0.0.2", "GATEWAY_PORT": ELSEWHERE["TASK_PORT"]}
    require_free_ports(processes(ELSEWHERE | apart))


def test_the_engine_is_verified_by_its_own_certificate() -> None:
    made = complete({}, folder=FOLDER)
    assert made["AVATAR_ENGINE_CERTIFICATE"] == made["ENGINE_DRIVE_CERTIFICATE"]
    assert complete({"APP_ID": "1"}, folder=FOLDER).get("ENGINE_DRIVE_CERTIFICATE") is None


def test_signatures_are_remembered_beside_the_secrets() -> None:
    made = complete({"AVATAR_PORT": "50153"}, folder=FOLDER)
    names = [made[name] for name in ("AVATAR_SIGNATURES", "ENGINE_SIGNATURES")]
    assert names == [str(FOLDER / each) for each in ("avatar-50153.sqlite3", "engine-8090.sqlite3")]


def test_each_replica_has_its_own_ports_and_callers_know_all() -> None:
    environment = complete({"TASK_METRICS_PORT": "9100"}, folder=FOLDER, replicas=2)
    assert environment["GATEWAY_TASK_TARGET"] == "127.0.0.1:50151,127.0.0.1:50251"
    assert environment["ENGINE_CALLBACK_URL"] == "http://127.0.0.1:8080/api/callbacks/zego"
    planned = {each.name: each for each in processes(environment, replicas=2)}
    assert list(planned) == [
        "engine",
        *("avatar-1", "avatar-2", "task-1", "task-2", "speech-1", "speech-2"),
        *("front", "gateway-1", "gateway-2"),
    ]
    second = planned["task-2"].environment
    assert second["TASK_PORT"] == "50251"
    assert second["TASK_METRICS_PORT"] == "9300"
    assert second["TASK_ADVERTISED_ADDRESS"] == "127.0.0.1:50251"
    assert planned["front"].words[-3:] == ("127.0.0.1:8080", "127.0.0.1:8180", "127.0.0.1:8280")
    assert float(planned["gateway-1"].environment["GATEWAY_NOTICE_S"]) == NOTICED_S
    ports = [
        listener.port(each.environment) for each in planned.values() for listener in each.listeners
    ]
    assert len(set(ports)) == len(ports) == 11
    assert [name for name, each in planned.items() if not each.is_replica] == ["engine", "front"]


def test_without_replicas_nothing_stands_in_front() -> None:
    environment = complete({}, folder=FOLDER)
    names = [each.name for each in processes(environment)]
    assert names == ["engine", "avatar", "task", "speech", "gateway"]
    assert not any("ADVERTISED" in name for name in environment)


def test_a_replica_listens_where_its_callers_look() -> None:
    given = {"PORT": "8000", "TASK_HOST": "::", "SPEECH_PORT": "6000", "APP_ID": "1"}
    environment = complete(given, folder=FOLDER, replicas=3)
    for process in processes(environment, replicas=3):
        for listener in process.listeners if process.is_replica else ():
            address = listener.address(process.environment)
            found = [name for name, each in TARGETS.items() if each is listener]
            assert all(address in environment[name].split(",") for name in found)
            if found:
                variable = f"{listener.process.upper()}_ADVERTISED_ADDRESS"
                assert process.environment[variable] == address
    assert environment["GATEWAY_TASK_TARGET"].startswith("[::1]:50151,")


def test_a_replica_needs_a_port_as_well() -> None:
    with pytest.raises(PlanError, match="TASK_PORT"):
        complete({"TASK_PORT": "65500"}, folder=FOLDER, replicas=2)


@pytest.mark.parametrize(
    "settings", [{"GATEWAY_REQUIRE_CREDENTIALS": "true"}, {"GATEWAY_JWKS": "keys.json"}]
)
def test_who_ends_a_closed_gateway_has_a_key_of_its_own(settings: dict[str, str]) -> None:
    made = complete(settings, folder=FOLDER)
    assert len(made["GATEWAY_API_KEYS"]) >= 32
    assert made["ENGINE_VOICE_KEY"] == made["GATEWAY_API_KEYS"]
    assert (
        complete({**settings, "GATEWAY_API_KEYS": "given"}, folder=FOLDER)["GATEWAY_API_KEYS"]
        == "given"
    )


@pytest.mark.parametrize(
    "settings",
    [{}, {"GATEWAY_REQUIRE_CREDENTIALS": "false"}, {"GATEWAY_REQUIRE_CREDENTIALS": "perhaps"}],
)
def test_an_open_gateway_stays_open(settings: dict[str, str]) -> None:
    assert "GATEWAY_API_KEYS" not in complete(settings, folder=FOLDER)
