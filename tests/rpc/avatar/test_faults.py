"""What callers are told when the cloud misbehaves, and that the service lives on."""

import asyncio
from typing import Any

import grpc
import pytest

from digitalhuman.avatar.v1 import avatar_pb2 as pb
from services.runtime.failures.errors import from_rpc_error
from services.runtime.failures.reasons import Reason
from tests.support.avatar_rig import Rig, fail, start_request

REFUSALS = [
    ({"kind": "refuse", "code": 400010002}, Reason.CLOUD_BUSY),
    ({"kind": "refuse", "code": 400010007}, Reason.CLOUD_NO_CAPACITY),
    ({"kind": "refuse", "code": 400010009}, Reason.CLOUD_RATE_LIMITED),
    ({"kind": "refuse", "code": 400010000}, Reason.CLOUD_ERROR),
    ({"kind": "refuse", "code": 400010001}, Reason.CLOUD_NOT_ENABLED),
    ({"kind": "refuse", "code": 400000002}, Reason.CLOUD_NOT_ENABLED),
    ({"kind": "refuse", "code": 400000016}, Reason.DIGITAL_HUMAN_MISCONFIGURED),
    ({"kind": "refuse", "code": 100000005}, Reason.CLOUD_CREDENTIALS_REJECTED),
    ({"kind": "clock_skew", "seconds": 3600}, Reason.CLOUD_CLOCK_SKEW),
    ({"kind": "http_500"}, Reason.CLOUD_UNREACHABLE),
    ({"kind": "invalid_json"}, Reason.CLOUD_UNREACHABLE),
]


@pytest.mark.parametrize(("fault", "reason"), REFUSALS)
async def test_a_fault_is_told_within_the_callers_deadline(
    rig: Rig, fault: dict[str, Any], reason: Reason
) -> None:
    await rig.set_faults({**fault, "action": "CreateDigitalHumanStreamTask"})
    request = start_request()

    error = await fail(rig.stub.StartAvatar(request, timeout=2.5))

    assert error.reason is reason
    assert "0123456789abcdef" not in error.message + str(error.metadata)
    await rig.set_faults()
    # Past the pause that a rate limit imposes.
    assert (await rig.stub.StartAvatar(request, timeout=10)).avatar.avatar_id


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "refuse", "code": 400010002},
        {"kind": "refuse", "code": 400010000},
        {"kind": "http_500"},
        {"kind": "invalid_json"},
        {"kind": "clock_skew", "seconds": -3600},
    ],
)
async def test_a_passing_fault_is_not_seen(rig: Rig, fault: dict[str, Any]) -> None:
    await rig.set_faults({**fault, "action": "QueryDigitalHumanStreamTasks", "count": 1})
    await rig.stub.ListAvatars(pb.ListAvatarsRequest(), timeout=10)


async def test_a_create_without_an_answer_is_ordered_again_once_it_is_surely_not_done(
    rig: Rig,
) -> None:
    await rig.set_faults({"kind": "http_500", "action": "CreateDigitalHumanStreamTask", "count": 1})
    avatar_id = await rig.start()
    listed = (await rig.stub.ListAvatars(pb.ListAvatarsRequest(), timeout=5)).avatars
    assert [each.avatar_id for each in listed] == [avatar_id]


async def test_a_wrong_secret_is_our_fault_not_the_callers(open_rig: Any) -> None:
    rig = await open_rig(relays=False, engine_server_secret="f" * 32)
    error = await fail(rig.stub.ListAvatars(pb.ListAvatarsRequest(), timeout=5))
    assert error.reason is Reason.CLOUD_CREDENTIALS_REJECTED


async def test_a_cloud_that_is_not_there_is_unreachable(open_rig: Any) -> None:
    rig = await open_rig(relays=False, cloud_url="http://127.0.0.1:9")
    error = await fail(rig.stub.StartAvatar(start_request(), timeout=2.5))
    assert error.reason is Reason.CLOUD_UNREACHABLE


async def test_unverified_drive_servers_can_be_refused(open_rig: Any) -> None:
    rig = await open_rig(drive_verification="all")
    avatar_id = await rig.on_air()
    speaker = rig.drive()
    await speaker.setup(avatar_id)
    assert (await speaker.failure()).reason is Reason.CLOUD_UNREACHABLE


async def test_a_drive_server_with_another_certificate_than_the_pinned_is_refused(
    open_rig: Any,
) -> None:
    rig = await open_rig(drive_fingerprints="00" * 32)
    avatar_id = await rig.on_air()
    speaker = rig.drive()
    await speaker.setup(avatar_id)
    assert (await speaker.failure()).reason is Reason.CLOUD_UNREACHABLE


async def test_more_calls_than_the_cloud_takes_are_refused_with_a_hint(rig: Rig) -> None:
    calls = [rig.stub.ListAvatars(pb.ListAvatarsRequest(), timeout=1.2) for _ in range(12)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)

    stop = pb.StopAvatarRequest(avatar_id="no-such-avatar")
    assert (await rig.stub.StopAvatar(stop, timeout=10)).replayed

    refused = [each for each in outcomes if isinstance(each, grpc.aio.AioRpcError)]
    assert len(refused) == 2
    for each in refused:
        error = from_rpc_error(each)
        assert error.reason is Reason.CLOUD_RATE_LIMITED
        assert error.retry_after_s is not None
        assert error.retry_after_s > 0


async def test_while_the_account_is_full_creates_are_not_sent_until_an_avatar_ends(
    rig: Rig,
) -> None:
    running = await rig.start("one")
    await rig.set_faults(
        {"kind": "refuse", "code": 400000008, "action": "CreateDigitalHumanStreamTask", "count": 1}
    )
    waits = []
    for _ in range(3):
        error = await fail(rig.stub.StartAvatar(start_request("two"), timeout=5))
        assert error.reason is Reason.AVATAR_CAPACITY_EXCEEDED
        waits.append(error.retry_after_s or 0.0)
    assert 2 <= waits[0] < waits[1] < waits[2]

    await rig.stub.StopAvatar(pb.StopAvatarRequest(avatar_id=running), timeout=5)
    assert await rig.start("two")
