"""Who may call what between the processes: by their certificates, on real servers."""

import re
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from grpc_health.v1 import health_pb2, health_pb2_grpc

import digitalhuman
from services.runtime.channels.channel import connected
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.runtime.security.identities import CALLS, Identity, may_call
from services.runtime.security.tls import PeerTls
from services.runtime.serving.server import Serving, ServingOptions, serving
from tests.support.authority import Authority
from tests.support.failures import told_by

PEER = Identity.TASK
SOURCES = {
    Identity.GATEWAY: "gateway",
    Identity.SPEECH: "services/speech",
    Identity.TASK: "services/task",
    Identity.AVATAR: "services/avatar",
}
ROOT = Path(__file__).parents[3]
COMMANDS = {ROOT / "services/task/keys.py"}
"""They are no part of the service beside them: they show the gateway's certificate."""


def every_method() -> Iterator[MethodDescriptor]:
    """Yield the methods of all services that there are."""
    for module in walk_packages(digitalhuman.__path__, "digitalhuman."):
        if module.name.endswith("_pb2"):
            for service in import_module(module.name).DESCRIPTOR.services_by_name.values():
                yield from service.methods


METHODS = list(every_method())


def path_of(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
async def up(authority: Authority) -> AsyncIterator[Serving]:
    options = ServingOptions(host="127.0.0.1", port=0, tls=authority.tls(PEER), drain_s=0)

    async with serving(options, [], add_every_method) as server:
        yield server


def add_every_method(server: grpc.aio.Server) -> None:
    """Have a server that admits what it is asked, and then does nothing."""
    handlers: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for method in METHODS:
        handlers[method.containing_service.full_name][method.name] = handler_of(method)
    for service, methods in handlers.items():
        server.add_registered_method_handlers(service, methods)


def handler_of(method: MethodDescriptor) -> Any:
    async def answer(request: Any, context: Any) -> None:
        raise ServiceError(Reason.NOT_SUPPORTED, "Nothing is done here.")

    match method.client_streaming, method.server_streaming:
        case True, True:
            return grpc.stream_stream_rpc_method_handler(answer)
        case False, True:
            return grpc.unary_stream_rpc_method_handler(answer)
        case False, False:
            return grpc.unary_unary_rpc_method_handler(answer)
        case _:
            raise AssertionError(f"{method.full_name} is of a form that no method has")


async def refusal(channel: grpc.aio.Channel, method: MethodDescriptor) -> Reason:
    """Call a method with nothing and return why that fails."""
    calls: Any = channel
    try:
        if method.client_streaming:
            async for _ in calls.stream_stream(path_of(method))(iter([b""]), timeout=30):
                pass
        elif method.server_streaming:
            async for _ in calls.unary_stream(path_of(method))(b"", timeout=30):
                pass
        else:
            await calls.unary_unary(path_of(method))(b"", timeout=30)
    except grpc.aio.AioRpcError as error:
        return told_by(error).reason
    raise AssertionError(f"{method.full_name} was served")


@pytest.mark.parametrize("caller", Identity)
async def test_each_caller_may_call_its_methods_and_no_others(
    caller: Identity, authority: Authority, up: Serving
) -> None:
    tls = PeerTls(own=authority.tls(caller), peer=PEER)
    async with connected(up.address, tls=tls) as channel:
        answers = {path_of(method): await refusal(channel, method) for method in METHODS}
    assert answers == {
        path: Reason.NOT_SUPPORTED if may_call(caller, path) else Reason.PERMISSION_DENIED
        for path in map(path_of, METHODS)
    }
    assert (Reason.PERMISSION_DENIED in answers.values()) is (caller is not Identity.OPERATOR)


@pytest.mark.parametrize("caller", SOURCES)
def test_the_table_has_what_the_code_calls(caller: Identity) -> None:
    """So that neither a call is missing from it, nor one allowed that nobody makes."""
    names = {method.name for method in METHODS}
    files = set((ROOT / SOURCES[caller]).rglob("*.py")) - COMMANDS
    code = "\n".join(file.read_text(encoding="utf-8") for file in files)
    called = {name for name in re.findall(r"\.(\w+)", code) if name in names}
    assert {method for methods in CALLS[caller].values() for method in methods} == called


def test_the_table_names_methods_that_exist() -> None:
    named = {
        f"/{service}/{method}"
        for calls in CALLS.values()
        for service, methods in calls.items()
        for method in methods
    }
    assert named <= set(map(path_of, METHODS))


async def health(channel: grpc.aio.Channel) -> int:
    answer = await health_pb2_grpc.HealthStub(channel).Check(
        health_pb2.HealthCheckRequest(), timeout=30
    )
    return answer.status


async def test_health_is_told_to_every_peer_with_a_certificate(
    authority: Authority, up: Serving
) -> None:
    for caller in Identity:
        tls = PeerTls(own=authority.tls(caller), peer=PEER)
        async with connected(up.address, tls=tls) as channel:
            assert await health(channel) == health_pb2.HealthCheckResponse.SERVING


async def test_a_certificate_that_names_no_service_may_ask_only_for_health(
    authority: Authority, up: Serving
) -> None:
    # One of our names, but not as that of a host.
    files = authority.issue("gateway.example", f"anyone@{Identity.OPERATOR.dns_name}")
    credentials = grpc.ssl_channel_credentials(
        authority.pem, files.key.read_bytes(), files.certificate.read_bytes()
    )
    options = [("grpc.ssl_target_name_override", PEER.dns_name)]
    async with grpc.aio.secure_channel(up.address, credentials, options=options) as channel:
        assert await health(channel) == health_pb2.HealthCheckResponse.SERVING
        reasons = {await refusal(channel, method) for method in METHODS}
    assert reasons == {Reason.PERMISSION_DENIED}


async def test_strangers_are_refused_by_the_handshake(
    authority: Authority, up: Serving, tmp_path: Path
) -> None:
    (other := tmp_path / "other").mkdir()
    stranger = Authority(other).tls(Identity.GATEWAY, trusted=authority.pem)
    async with AsyncExitStack() as life:
        channels = [
            # In plain text, without a certificate, and with that of another authority.
            grpc.aio.insecure_channel(up.address),
            grpc.aio.secure_channel(
                up.address,
                grpc.ssl_channel_credentials(authority.pem),
                options=[("grpc.ssl_target_name_override", PEER.dns_name)],
            ),
            await life.enter_async_context(
                connected(up.address, tls=PeerTls(own=stranger, peer=PEER))
            ),
        ]
        for channel in channels:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await health(channel)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
            await channel.close()


async def test_a_service_that_is_another_one_is_not_called(
    authority: Authority, up: Serving
) -> None:
    tls = PeerTls(own=authority.tls(Identity.GATEWAY), peer=Identity.SPEECH)
    async with connected(up.address, tls=tls) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await health(channel)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
