"""WHEP: viewers hear the digital human, and only those who may."""

import asyncio
from collections.abc import Callable
from typing import Any

import aioice.ice
import psutil
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection

from engine.viewing.viewers import MAX_SECTIONS, MAX_VIEWERS
from tests.engine.conftest import OpenCloud
from tests.support.engine_cloud import (
    Cloud,
    ManualClock,
    Viewer,
    make_tone,
    make_viewer_token,
    open_socket,
    start,
)

LOUD = 1000
QUIET = 10


def is_loud(level: float) -> bool:
    return level > LOUD


def is_quiet(level: float) -> bool:
    return level < QUIET


@pytest.fixture
async def offer() -> Any:
    """The SDP of a viewer that only asks."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    peer.addTransceiver("audio", direction="recvonly")
    await peer.setLocalDescription(await peer.createOffer())
    yield peer.localDescription.sdp
    await peer.close()


async def test_viewer_hears_speech_and_silence(cloud: Cloud) -> None:
    task_id = await cloud.go_on_air()
    async with Viewer(cloud, "stream-1") as viewer:
        await viewer.until_level(is_quiet)
        drive_id, address = await cloud.begin_drive(task_id)
        async with open_socket(address) as socket:
            await start(socket, drive_id)
            await socket.send(make_tone(20).tobytes())
            await viewer.until_level(is_loud)
            await cloud.data("InterruptDriveTask", TaskId=task_id)
            await viewer.until_level(is_quiet)
        assert (await cloud.drive(task_id, drive_id))["interrupted"]
        again = await cloud.play(task_id, make_tone(1).tobytes())
        await viewer.until_level(is_loud)
        await cloud.receiver.until_drive(again, 4)
        await viewer.until_level(is_quiet)


async def test_a_viewer_reaches_whichever_loopback_it_is(open_cloud: OpenCloud) -> None:
    cloud = await open_cloud(host="127.77.1.2", public_host="127.77.1.2")
    await cloud.go_on_air()
    async with Viewer(cloud, "stream-1") as viewer:
        await viewer.until_level(is_quiet)


async def test_three_viewers_and_one_that_leaves(cloud: Cloud) -> None:
    task_id = await cloud.go_on_air()
    async with (
        Viewer(cloud, "stream-1") as first,
        Viewer(cloud, "stream-1") as second,
        Viewer(cloud, "stream-1") as third,
    ):
        for viewer in (first, second, third):
            await viewer.until_level(is_quiet)
        assert (await cloud.http.delete(second.address)).status_code == 200
        await second.until_end()
        assert (await cloud.http.delete(second.address)).status_code == 200
        await cloud.play(task_id, make_tone(3).tobytes())
        await asyncio.gather(*(viewer.until_level(is_loud) for viewer in (first, third)))


@pytest.mark.parametrize("set_by_s", [7200, -7200])
async def test_viewer_comes_in_though_the_clock_is_set(
    open_cloud: Any, clock: ManualClock, offer: str, set_by_s: int
) -> None:
    cloud = await open_cloud(clock=clock)
    await cloud.go_on_air()
    token = make_viewer_token(cloud.engine, now=clock.time())
    clock.set(set_by_s)
    assert (await cloud.post_offer("stream-1", offer, token=token)).status_code == 201


async def test_viewer_leaves_before_it_connects(cloud: Cloud, offer: str) -> None:
    await cloud.go_on_air()
    address = (await cloud.post_offer("stream-1", offer)).headers["Location"]
    assert (await cloud.http.delete(address)).status_code == 200
    while await count_viewers(cloud):
        pass


async def test_stop_ends_the_connections(cloud: Cloud) -> None:
    task_id = await cloud.go_on_air()
    async with Viewer(cloud, "stream-1") as viewer:
        await viewer.until_level(is_quiet)
        await cloud.data("StopDigitalHumanStreamTask", TaskId=task_id)
        await viewer.until_end()
        assert (await cloud.http.delete(viewer.address)).status_code == 200


async def count_viewers(cloud: Cloud) -> int:
    return (await cloud.http.get("/healthz")).json()["viewers"]


async def test_viewer_that_vanishes_is_removed_and_the_others_go_on(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 0.05)
    # Enough that none of the others seems to have vanished when the machine is busy.
    monkeypatch.setattr(aioice.ice, "CONSENT_FAILURES", 4)
    task_id = await cloud.go_on_air()
    process = psutil.Process()
    async with Viewer(cloud, "stream-1") as first, Viewer(cloud, "stream-1") as second:
        for viewer in (first, second):
            await viewer.until_level(is_quiet)
        sockets = count_datagram_sockets(process)
        async with Viewer(cloud, "stream-1") as third:
            await third.until_level(is_quiet)
            assert await count_viewers(cloud) == 3
            assert count_datagram_sockets(process) > sockets
            transport = third.peer.getReceivers()[0].transport.transport
            for protocol in transport._connection._protocols:
                protocol.transport.abort()
            async with asyncio.timeout(60):
                while await count_viewers(cloud) > 2 or count_datagram_sockets(process) > sockets:
                    pass
        await cloud.play(task_id, make_tone(3).tobytes())
        await asyncio.gather(*(viewer.until_level(is_loud) for viewer in (first, second)))


def count_datagram_sockets(process: psutil.Process) -> int:
    return len(process.net_connections("udp"))


async def test_viewers_leave_nothing_behind(cloud: Cloud) -> None:
    async def watch(number: int) -> None:
        task_id = await cloud.go_on_air(f"stream-{number}")
        async with Viewer(cloud, f"stream-{number}") as viewer:
            await viewer.until_level(is_quiet)
            await cloud.data("StopDigitalHumanStreamTask", TaskId=task_id)
            await viewer.until_end()

    await watch(0)
    await asyncio.sleep(0.5)
    base = len(asyncio.all_tasks())
    for number in range(1, 6):
        await watch(number)
    # Those that are about to end end.
    async with asyncio.timeout(60):
        while len(asyncio.all_tasks()) > base:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def test_answer(cloud: Cloud, offer: str) -> None:
    await cloud.go_on_air()
    response = await cloud.post_offer("stream-1", offer)
    assert response.status_code == 201
    assert response.headers["Content-Type"] == "application/sdp"
    assert response.headers["Location"].startswith("/whep/stream-1/")
    assert response.headers["ETag"].startswith('"')
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "Location" in response.headers["Access-Control-Expose-Headers"]
    assert "a=sendonly" in response.text
    assert "opus/48000/2" in response.text
    candidates = [line for line in response.text.splitlines() if "a=candidate" in line]
    assert candidates
    assert all(" 127.0.0.1 " in line for line in candidates)


@pytest.mark.parametrize(
    ("direction", "change", "answer"),
    [
        ("recvonly", ("", ""), "sendonly"),
        ("recvonly", (" VP8/90000", " VP9/90000"), "inactive"),
        ("inactive", ("", ""), "inactive"),
        ("sendonly", ("", ""), "inactive"),
    ],
)
async def test_answer_to_video(
    cloud: Cloud, direction: str, change: tuple[str, str], answer: str
) -> None:
    await cloud.go_on_air()
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    peer.addTransceiver("audio", direction="recvonly")
    peer.addTransceiver("video", direction=direction)
    await peer.setLocalDescription(await peer.createOffer())
    response = await cloud.post_offer("stream-1", peer.localDescription.sdp.replace(*change))
    await peer.close()
    assert response.status_code == 201
    audio, video = response.text.split("m=video")
    assert "a=sendonly" in audio
    assert f"a={answer}" in video
    if answer == "sendonly":
        assert "VP8/90000" in video
        assert "H264" not in video


async def test_token(cloud: Cloud, offer: str) -> None:
    await cloud.go_on_air()
    cases: list[tuple[dict[str, Any], int]] = [
        ({}, 201),
        ({"room": None}, 201),
        ({"room": "room-2"}, 403),
        ({"room": "a/b"}, 403),
        ({"room": ""}, 403),
        ({"life_s": -1}, 401),
        ({"secret": "f" * 32}, 401),
        ({"room": ["room-1"]}, 401),
        ({"iss": "2"}, 401),
        ({"sub": ""}, 401),
    ]
    for changes, status in cases:
        token = make_viewer_token(cloud.engine, **changes)
        response = await cloud.post_offer("stream-1", offer, token=token)
        assert response.status_code == status, changes
        assert ("WWW-Authenticate" in response.headers) == (status == 401)
        assert response.headers["Access-Control-Allow-Origin"] == "*"


async def test_token_is_required(cloud: Cloud, offer: str) -> None:
    await cloud.go_on_air()
    cases: list[dict[str, str]] = [
        {},
        {"Authorization": "Basic x"},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer x"},
    ]
    for headers in cases:
        response = await cloud.http.post(
            "/whep/stream-1", content=offer, headers={"Content-Type": "application/sdp", **headers}
        )
        assert response.status_code == 401, headers


async def test_unknown_stream(cloud: Cloud, offer: str) -> None:
    assert (await cloud.post_offer("stream-9", offer)).status_code == 404


async def test_stream_that_is_not_on_air_yet(
    open_cloud: Any, clock: ManualClock, offer: str
) -> None:
    cloud = await open_cloud(clock=clock, init_delay_s=5)
    await cloud.create()
    response = await cloud.post_offer("stream-1", offer)
    assert response.status_code == 409
    assert int(response.headers["Retry-After"]) >= 1


async def test_content_type(cloud: Cloud, offer: str) -> None:
    await cloud.go_on_air()
    refused = await cloud.post_offer("stream-1", offer, content_type="application/json")
    assert refused.status_code == 415
    assert refused.headers["Accept-Post"] == "application/sdp"
    accepted = await cloud.post_offer(
        "stream-1", offer, content_type="application/SDP; charset=utf-8"
    )
    assert accepted.status_code == 201


def cut(offer: str, word: str) -> str:
    return "".join(line for line in offer.splitlines(keepends=True) if word not in line)


DAMAGES: list[Callable[[str], str | bytes]] = [
    lambda offer: "",
    lambda offer: "hello",
    lambda offer: "\0" * 100,
    lambda offer: "v=0",
    lambda offer: offer[:200],
    lambda offer: "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n",
    lambda offer: cut(offer, "ice-ufrag"),
    lambda offer: cut(offer, "ice-pwd"),
    lambda offer: cut(offer, "fingerprint"),
    lambda offer: cut(offer, "rtcp-mux"),
    lambda offer: offer.replace("opus", "smurf"),
    lambda offer: offer.replace("m=audio", "m=video"),
    lambda offer: offer.replace("m=audio ", "m=audio x"),
    lambda offer: offer.replace("a=setup:", "a=setup:no"),
    lambda offer: offer.replace("a=candidate:", "a=candidate:x "),
    lambda offer: offer.replace("a=rtpmap:", "a=rtpmap:x"),
    lambda offer: offer.replace("a=recvonly", "a=inactive"),
    lambda offer: offer.replace("a=recvonly", "a=sendonly"),
    lambda offer: "é".encode("latin-1"),
]


async def test_broken_offers(cloud: Cloud, offer: str) -> None:
    await cloud.go_on_air()
    for number, damage in enumerate(DAMAGES):
        response = await cloud.post_offer("stream-1", damage(offer))
        assert response.status_code == 400, number
        assert len(response.text.splitlines()) == 1, number
    assert (await cloud.post_offer("stream-1", offer)).status_code == 201


async def test_offer_that_is_too_long(cloud: Cloud) -> None:
    await cloud.go_on_air()
    assert (await cloud.post_offer("stream-1", "a" * 70_000)).status_code == 413


@pytest.mark.parametrize("path", ["/whep/stream-1", "/whep/stream-1/viewer"])
async def test_preflight(cloud: Cloud, path: str) -> None:
    response = await cloud.http.options(path)
    assert response.status_code == 204
    assert response.headers["Accept-Post"] == "application/sdp"
    assert "POST" in response.headers["Access-Control-Allow-Methods"]
    assert "Authorization" in response.headers["Access-Control-Allow-Headers"]


FRAGMENT = "application/trickle-ice-sdpfrag"
CANDIDATE = "a=mid:0\r\na=candidate:1 1 udp 2130706431 127.0.0.1 {port} typ host\r\n"


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        (FRAGMENT, CANDIDATE.format(port=9), 204),
        (FRAGMENT, "a=end-of-candidates\r\n", 204),
        (FRAGMENT, CANDIDATE.format(port="x"), 400),
        (FRAGMENT, "a=candidate:\r\n", 400),
        (FRAGMENT, CANDIDATE.format(port=9).replace("127.0.0.1", "nowhere"), 204),
        (FRAGMENT, CANDIDATE.format(port=9).replace("127.0.0.1", "abc.local"), 204),
        (FRAGMENT, CANDIDATE.format(port=9).replace("a=mid:0\r\n", ""), 400),
        ("application/json", "{}", 415),
    ],
)
async def test_trickle(cloud: Cloud, offer: str, content_type: str, body: str, status: int) -> None:
    await cloud.go_on_air()
    address = (await cloud.post_offer("stream-1", offer)).headers["Location"]
    response = await cloud.http.patch(address, content=body, headers={"Content-Type": content_type})
    assert response.status_code == status


async def test_wrong_method(cloud: Cloud) -> None:
    assert (await cloud.http.get("/whep/stream-1")).status_code == 405


async def test_places_are_taken_before_the_offer_is_answered(cloud: Cloud, offer: str) -> None:
    await cloud.go_on_air()
    responses = await asyncio.gather(
        *(cloud.post_offer("stream-1", offer) for _ in range(MAX_VIEWERS + 14))
    )
    statuses = sorted(response.status_code for response in responses)
    assert statuses == [201] * MAX_VIEWERS + [503] * 14


async def test_a_broken_offer_gives_its_place_back(cloud: Cloud, offer: str) -> None:
    await cloud.go_on_air()
    for _ in range(MAX_VIEWERS + 1):
        assert (await cloud.post_offer("stream-1", "v=0")).status_code == 400
    assert await count_viewers(cloud) == 0
    assert (await cloud.post_offer("stream-1", offer)).status_code == 201


class Bystander(asyncio.DatagramProtocol):
    """Somebody who never asked for a picture."""

    def __init__(self) -> None:
        self.datagrams = 0

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.datagrams += 1


async def test_nobody_is_sent_anything_because_an_offer_names_them(cloud: Cloud) -> None:
    await cloud.go_on_air()
    loop = asyncio.get_running_loop()
    transport, bystander = await loop.create_datagram_endpoint(
        Bystander, local_addr=("127.0.0.1", 0)
    )
    port = transport.get_extra_info("sockname")[1]
    named = f"a=candidate:1 1 udp 2130706431 127.0.0.1 {port} typ host\r\n"
    async with Viewer(cloud, "stream-1", named=named) as viewer:
        fragment = f"a=mid:0\r\n{named}"
        await cloud.http.patch(viewer.address, content=fragment, headers={"Content-Type": FRAGMENT})
        # By then ICE has found the viewer, so that it would have tried all that it was told.
        await viewer.until_level(is_quiet)
    transport.close()
    assert bystander.datagrams == 0


async def test_an_offer_with_too_many_sections(cloud: Cloud) -> None:
    await cloud.go_on_air()
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    for _ in range(MAX_SECTIONS + 1):
        peer.addTransceiver("audio", direction="recvonly")
    await peer.setLocalDescription(await peer.createOffer())
    response = await cloud.post_offer("stream-1", peer.localDescription.sdp)
    await peer.close()
    assert response.status_code == 400
