"""The contracts hold together: released, layered, and what the stubs call is what is described."""

import inspect
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc
import grpc_testing
import pytest
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from digitalhuman.access.v1 import access_pb2, access_pb2_grpc
from digitalhuman.audit.v1 import audit_pb2, audit_pb2_grpc
from digitalhuman.avatar.v1 import avatar_pb2, avatar_pb2_grpc
from digitalhuman.speech.v1 import speech_pb2, speech_pb2_grpc
from digitalhuman.task.v1 import task_pb2, task_pb2_grpc
from digitalhuman.webhooks.v1 import webhooks_pb2, webhooks_pb2_grpc

ROOT = Path(__file__).parents[2]
PROTOS = sorted((ROOT / "protos" / "digitalhuman").rglob("*.proto"))
BUF = Path(sys.executable).with_name("buf")
SHARED_AREAS = {"audio", "conversation", "errors"}

SERVICES: list[tuple[ServiceDescriptor, Any, Any]] = [
    (
        access_pb2.DESCRIPTOR.services_by_name["AccessService"],
        access_pb2_grpc.AccessServiceStub,
        access_pb2_grpc.AccessServiceServicer,
    ),
    (
        audit_pb2.DESCRIPTOR.services_by_name["AuditService"],
        audit_pb2_grpc.AuditServiceStub,
        audit_pb2_grpc.AuditServiceServicer,
    ),
    (
        webhooks_pb2.DESCRIPTOR.services_by_name["WebhookService"],
        webhooks_pb2_grpc.WebhookServiceStub,
        webhooks_pb2_grpc.WebhookServiceServicer,
    ),
    (
        avatar_pb2.DESCRIPTOR.services_by_name["AvatarService"],
        avatar_pb2_grpc.AvatarServiceStub,
        avatar_pb2_grpc.AvatarServiceServicer,
    ),
    (
        speech_pb2.DESCRIPTOR.services_by_name["SpeechService"],
        speech_pb2_grpc.SpeechServiceStub,
        speech_pb2_grpc.SpeechServiceServicer,
    ),
    (
        task_pb2.DESCRIPTOR.services_by_name["TaskService"],
        task_pb2_grpc.TaskServiceStub,
        task_pb2_grpc.TaskServiceServicer,
    ),
]
METHODS = [(method, stub) for service, stub, _ in SERVICES for method in service.methods]


def test_the_released_contracts_can_be_built() -> None:
    built = subprocess.run(
        [BUF, "build", ROOT / "protos" / "released.txtpb", "-o", "/dev/null"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert built.returncode == 0, built.stderr


def test_a_breaking_change_is_seen(tmp_path: Path) -> None:
    text = (ROOT / "protos" / "released.txtpb").read_text(encoding="utf-8")
    changed = tmp_path / "released.txtpb"
    changed.write_text(text.replace('name: "room_id"', 'name: "chamber_id"'), encoding="utf-8")
    checked = subprocess.run(
        [BUF, "breaking", "protos", "--against", changed],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert checked.returncode != 0
    assert "room_id" in checked.stdout


@pytest.mark.parametrize("path", PROTOS, ids=lambda path: path.stem)
def test_an_area_uses_only_the_shared_ones(path: Path) -> None:
    own = path.parent.parent.name
    text = path.read_text(encoding="utf-8")
    used = set(re.findall(r'^import "digitalhuman/(\w+)/', text, re.MULTILINE))
    assert used <= SHARED_AREAS - {own}
    assert f"package digitalhuman.{own}.v1;" in text


@pytest.mark.parametrize(("method", "stub"), METHODS, ids=lambda value: getattr(value, "name", ""))
def test_the_stub_calls_what_the_descriptor_says(method: MethodDescriptor, stub: Any) -> None:
    channel = grpc_testing.channel([method.containing_service], grpc_testing.strict_real_time())
    request: Message = GetMessageClass(method.input_type)()
    response: Message = GetMessageClass(method.output_type)()
    call = getattr(stub(channel), method.name)
    status = (grpc.StatusCode.OK, "")
    match method.client_streaming, method.server_streaming:
        case False, False:
            answer = call.future(request)
            _, seen, served = channel.take_unary_unary(method)
            served.send_initial_metadata(())
            served.terminate(response, (), *status)
            assert answer.result() == response
        case False, True:
            answers = call(request)
            _, seen, served = channel.take_unary_stream(method)
            served.send_initial_metadata(())
            served.send_response(response)
            served.terminate((), *status)
            assert list(answers) == [response]
        case True, True:
            answers = call(iter([request]))
            _, served = channel.take_stream_stream(method)
            served.send_initial_metadata(())
            seen = served.take_request()
            served.send_response(response)
            served.requests_closed()
            served.terminate((), *status)
            assert list(answers) == [response]
        case _:
            pytest.fail(f"{method.full_name} streams requests for one response")
    assert seen == request


@pytest.mark.parametrize(("service", "stub", "servicer"), SERVICES)
def test_the_servicer_has_the_methods_of_the_descriptor(
    service: ServiceDescriptor, stub: Any, servicer: Any
) -> None:
    methods = {name for name, _ in inspect.getmembers(servicer, inspect.isfunction)}
    assert {name for name in methods if not name.startswith("_")} == set(service.methods_by_name)


@pytest.mark.parametrize(("method", "stub"), METHODS, ids=lambda value: getattr(value, "name", ""))
def test_every_rpc_has_messages_of_its_own(method: MethodDescriptor, stub: Any) -> None:
    assert method.input_type.name == f"{method.name}Request"
    assert method.output_type.name == f"{method.name}Response"


def test_the_service_config_names_real_methods() -> None:
    config = json.loads((ROOT / "services/runtime/channels/service_config.json").read_text())
    services = {service.full_name: service for service, _, _ in SERVICES}
    named = [name for each in config["methodConfig"] for name in each["name"]]
    assert {name["service"] for name in named} == set(services)
    for each in config["methodConfig"]:
        for name in (named for named in each["name"] if "method" in named):
            method = services[name["service"]].methods_by_name[name["method"]]
            # A stream lives as long as it likes, and is not written anew.
            is_stream = method.client_streaming or method.server_streaming
            assert not (is_stream and each.keys() & {"timeout", "retryPolicy"})


def test_every_unary_method_has_a_deadline() -> None:
    config = json.loads((ROOT / "services/runtime/channels/service_config.json").read_text())
    bounded = {
        (name["service"], name.get("method"))
        for each in config["methodConfig"]
        if "timeout" in each
        for name in each["name"]
    }
    unary = {
        (method.containing_service.full_name, method.name)
        for method, _ in METHODS
        if not (method.client_streaming or method.server_streaming)
    }
    assert bounded == unary
