"""Rooms and streams of tenants in one account: each names its own, and nobody another's."""

from typing import Any

import grpc
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from digitalhuman.avatar.v1 import avatar_pb2 as pb
from engine.contract.token import Purpose, derive_key
from services.runtime.callers.caller import Caller, of_tenant, to_metadata
from services.runtime.failures.errors import from_rpc_error
from tests.support.avatar_rig import SERVER_SECRET, Rig, start_request

ACME = of_tenant("acme")


async def viewer_token(rig: Rig, caller: Caller, **fields: Any) -> pb.CreateViewerTokenResponse:
    request = pb.CreateViewerTokenRequest(user_id="ada", **fields)
    return await rig.stub.CreateViewerToken(request, metadata=to_metadata(caller), timeout=5)


def room_of(token: str) -> str:
    """Return the room that a token opens, as the engine reads it."""
    key = OctKey.import_key(derive_key(SERVER_SECRET.encode(), Purpose.VIEWER))
    room: str = jwt.decode(token, key).claims["room"]
    return room


@pytest.mark.parametrize("room_id", ["room-1", "t__acme__room-1"])
async def test_a_viewer_enters_a_room_of_the_tenant(rig: Rig, room_id: str) -> None:
    made = await viewer_token(rig, ACME, room_id=room_id, stream_id="stream-1")
    assert room_of(made.token) == "t__acme__room-1"
    assert made.playback.url == f"{rig.engine.base_url}/whep/t__acme__stream-1"


@pytest.mark.parametrize("tenant_id", ["default", "zoo"])
@pytest.mark.parametrize("field", ["room_id", "stream_id", "publish_stream_id"])
async def test_a_viewer_cannot_name_what_is_anothers(rig: Rig, tenant_id: str, field: str) -> None:
    fields = {"room_id": "room-1"} | {field: "t__acme__name"}
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await viewer_token(rig, of_tenant(tenant_id), **fields)
    error = from_rpc_error(refused.value)
    assert [(each.field, each.rule) for each in error.violations] == [(field, "reserved")]


async def test_only_the_default_tenant_opens_all_rooms(rig: Rig) -> None:
    assert await viewer_token(rig, Caller())
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await viewer_token(rig, ACME)
    error = from_rpc_error(refused.value)
    assert [(each.field, each.rule) for each in error.violations] == [("room_id", "required")]


async def test_two_tenants_may_have_streams_of_the_same_name(rig: Rig) -> None:
    for caller in (ACME, of_tenant("zoo"), Caller()):
        started = await rig.stub.StartAvatar(
            start_request("stream-1"), metadata=to_metadata(caller), timeout=10
        )
        assert started.avatar.stream_id.endswith("stream-1")
    listed = await rig.stub.ListAvatars(pb.ListAvatarsRequest(), timeout=5)
    assert sorted(each.stream_id for each in listed.avatars) == [
        "stream-1",
        "t__acme__stream-1",
        "t__zoo__stream-1",
    ]
