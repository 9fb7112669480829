"""Viewers who draw the face themselves: what they are sent, in which time, and the files."""

import asyncio
import struct
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcrtpreceiver import RemoteStreamTrack

from engine.audio.sound import TICK_S
from engine.face.blendshape import TICKS_PER_POSE, PoseFeed, write_clock, write_pose
from engine.face.performer import Performer
from engine.face.pose import HeadPose, Pose
from tests.support.engine_cloud import Cloud, make_noise, make_viewer_token

SPEECH = Path(__file__).parents[1] / "data" / "speech" / "en_kokoro_af_heart_2.wav"
POSE = struct.Struct("<BBHIBb5BB2b2B5h")
CLOCK = struct.Struct("<BBHI")
TICK_SAMPLES = 960
OPEN = 0.1


def read_speech() -> tuple[bytes, int]:
    with wave.open(str(SPEECH)) as file:
        return file.readframes(file.getnframes()), file.getframerate()


def test_a_pose_is_written_as_documented() -> None:
    pose = Pose(
        mouth_open=0.5,
        mouth_round=-1,
        consonants=(1, 0, 0.2, 0, 0.1),
        blink=2,
        gaze=(-0.5, 1),
        brow=0.3,
        smile=0,
        head=HeadPose(yaw=0.1, pitch=-0.05, roll=0.0001, sway=9, breath=0),
    )
    written = write_pose(pose, sequence=65537, media_time=2**32 + 960)
    assert POSE.unpack(written) == (
        *(1, 0, 1, 960),
        *(128, -127),
        *(255, 0, 51, 0, 26),
        255,
        *(-64, 127),
        *(76, 0),
        *(1000, -500, 1, 32767, 0),
    )
    assert CLOCK.unpack(write_clock(rtp_offset=-1)) == (1, 1, 0, 2**32 - 1)


def test_a_speaking_face_is_told_25_times_a_second_and_a_resting_one_less_often() -> None:
    performer = Performer(seed=1)
    feed = PoseFeed(performer)
    pcm, rate = read_speech()
    samples = np.frombuffer(pcm, "<i2")
    performer.hear(samples, sample_rate=rate, at_s=0.0)
    spoken_ticks = int(len(samples) / rate / TICK_S)
    told = [feed.tick(index) for index in range(spoken_ticks + 50 * 20)]
    speaking = told[: spoken_ticks - 20]
    assert all((message is None) == bool(n % TICKS_PER_POSE) for n, message in enumerate(speaking))
    resting = [message for message in told[spoken_ticks + 50 :] if message is not None]
    assert 19 * 5 <= len(resting) < 19 * 12
    times = [POSE.unpack(message)[3] for message in told if message is not None]
    assert times == sorted(set(times))
    # Blinks are told whole, also those of a resting face.
    assert max(POSE.unpack(message)[11] for message in resting) > 200


@dataclass
class Follower:
    """What a viewer with a data channel got."""

    address: str = ""
    link: str = ""
    poses: list[tuple[int, ...]] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    offsets: set[int] = field(default_factory=set)
    # RMS of 20 ms of sound, by its RTP timestamp.
    levels: dict[int, float] = field(default_factory=dict)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def until(self, condition: Any) -> None:
        async with self.changed, asyncio.timeout(30):
            await self.changed.wait_for(lambda: condition(self))

    async def take(self, message: bytes) -> None:
        async with self.changed:
            match message[1]:
                case 0:
                    self.poses.append(POSE.unpack(message))
                    self.raw.append(message)
                case 1:
                    self.offsets.add(CLOCK.unpack(message)[3])
            self.changed.notify_all()


async def hear(track: RemoteStreamTrack, peer: RTCPeerConnection, follower: Follower) -> None:
    [receiver] = [each.receiver for each in peer.getTransceivers() if each.kind == "audio"]
    while True:
        try:
            frame = await track.recv()
        except MediaStreamError:
            return
        assert isinstance(frame, av.AudioFrame)
        assert frame.pts is not None
        # aiortc counts from the first packet; only it knows the timestamp of that.
        origin = receiver._RTCRtpReceiver__timestamp_mapper._origin  # type: ignore[attr-defined]
        samples = frame.to_ndarray().astype(np.float64)
        async with follower.changed:
            follower.levels[(frame.pts + origin) % 2**32] = float(np.sqrt(np.mean(samples**2)))
            follower.changed.notify_all()


@asynccontextmanager
async def following(cloud: Cloud, stream_id: str = "stream-1") -> AsyncIterator[Follower]:
    follower = Follower()
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    tasks: list[asyncio.Task[None]] = []
    peer.on("track", lambda track: tasks.append(asyncio.create_task(hear(track, peer, follower))))
    channel = peer.createDataChannel("blendshape", ordered=False, maxRetransmits=0)
    channel.on("message", follower.take)
    try:
        peer.addTransceiver("audio", direction="recvonly")
        peer.addTransceiver("video", direction="recvonly")
        await peer.setLocalDescription(await peer.createOffer())
        response = await post(cloud, stream_id, peer.localDescription.sdp)
        assert response.status_code == 201, response.text
        follower.address = response.headers["Location"]
        follower.link = response.headers["Link"]
        await peer.setRemoteDescription(RTCSessionDescription(sdp=response.text, type="answer"))
        yield follower
    finally:
        await peer.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def post(
    cloud: Cloud, stream_id: str, offer: str, output: str = "blendshape"
) -> httpx.Response:
    return await cloud.http.post(
        f"/whep/{stream_id}",
        params={"output": output},
        content=offer,
        headers={
            "Content-Type": "application/sdp",
            "Authorization": f"Bearer {make_viewer_token(cloud.engine)}",
        },
    )


def correlate(follower: Follower) -> float:
    """How well the opening of the mouth goes with the loudness of the sound of its time."""
    [offset] = follower.offsets
    openings = {pose[3] + offset & 0xFFFFFFFF: pose[4] / 255 for pose in follower.poses}
    common = sorted(set(openings) & set(follower.levels))
    smooth = [
        np.mean([follower.levels.get(at + step * TICK_SAMPLES, 0.0) for step in range(-1, 3)])
        for at in common
    ]
    return float(np.corrcoef([openings[at] for at in common], np.sqrt(smooth))[0, 1])


async def test_weights_follow_the_speech_and_no_picture_is_made(cloud: Cloud) -> None:
    task_id = await cloud.go_on_air()
    pcm, rate = read_speech()
    async with following(cloud) as follower:
        await follower.until(lambda now: now.poses and now.levels)
        # At rest the lips are closed, and all is told by one clock.
        assert {pose[4] for pose in follower.poses} == {0}
        drive_id = await cloud.play(task_id, pcm, SampleRate=rate)
        await cloud.receiver.until_drive(drive_id, 4)
        last = max(pose[3] for pose in follower.poses)
        await follower.until(lambda now: now.poses[-1][3] > last + 48_000)
        assert correlate(follower) > 0.5
        assert max(pose[4] for pose in follower.poses) > 128
        assert follower.poses[-1][4] / 255 < OPEN
        sequences = [pose[2] for pose in follower.poses]
        assert sequences == list(range(sequences[0], sequences[0] + len(sequences)))
        health = (await cloud.http.get("/healthz")).json()
        assert (health["frames"], health["looped_frames"], health["viewers"]) == (0, 0, 1)
        assert (await cloud.http.delete(follower.address)).status_code == 200


async def test_all_viewers_of_a_task_get_the_same_messages(cloud: Cloud) -> None:
    task_id = await cloud.go_on_air()
    pcm, rate = read_speech()
    async with following(cloud) as one, following(cloud) as other:
        await one.until(lambda now: now.poses)
        await other.until(lambda now: now.poses)
        await cloud.play(task_id, pcm, SampleRate=rate)
        await one.until(lambda now: sum(pose[4] > 0 for pose in now.poses) > 20)
        await other.until(lambda now: sum(pose[4] > 0 for pose in now.poses) > 20)
        assert len(set(one.raw) & set(other.raw)) > 10
        assert one.offsets != other.offsets


async def test_an_interrupt_closes_the_mouth(cloud: Cloud) -> None:
    task_id = await cloud.go_on_air()
    async with following(cloud) as follower:
        await follower.until(lambda now: now.poses)
        # Without a pause, and longer than this test waits.
        await cloud.play(task_id, make_noise(60 * 24_000).tobytes())
        await follower.until(lambda now: now.poses[-1][4] > 100)
        await cloud.data("InterruptDriveTask", TaskId=task_id)
        told = len(follower.poses)
        await follower.until(lambda now: len(now.poses) > told + 10)
        assert {pose[4] for pose in follower.poses[told + 8 :]} == {0}


async def test_an_action_moves_the_head(cloud: Cloud) -> None:
    task_id = await cloud.go_on_air()
    async with following(cloud) as follower:
        await follower.until(lambda now: now.poses)
        before = max(abs(pose[16]) for pose in follower.poses)
        await cloud.data("DoAction", TaskId=task_id, Action="shake")
        await follower.until(lambda now: max(abs(pose[16]) for pose in now.poses) > before + 800)


async def test_refused_offers(cloud: Cloud) -> None:
    await cloud.go_on_air()
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        peer.addTransceiver("audio", direction="recvonly")
        await peer.setLocalDescription(await peer.createOffer())
        without = await post(cloud, "stream-1", peer.localDescription.sdp)
        assert (without.status_code, without.text) == (400, "the offer has no data channel\n")
        unknown = await post(cloud, "stream-1", peer.localDescription.sdp, output="hologram")
        assert unknown.status_code == 400
        assert unknown.text == "output must be video or blendshape\n"
    finally:
        await peer.close()


@pytest.mark.parametrize(
    ("config", "query"),
    [({}, ""), ({"BackgroundColor": "#10ff00"}, "?background=%2310ff00ff")],
    ids=["own", "colour"],
)
async def test_the_face_is_where_the_answer_says(
    cloud: Cloud, config: dict[str, str], query: str
) -> None:
    await cloud.go_on_air(
        DigitalHumanConfig={"DigitalHumanId": "parley_elin", **config},
        VideoConfig={"Width": 720, "Height": 720},
    )
    async with following(cloud) as follower:
        await follower.until(lambda now: now.poses)
        assert follower.link == f'</face/parley_elin/720x720/{query}>; rel="face"'
    root = "/face/parley_elin/720x720"
    facts = (await cloud.http.get(f"{root}/meta.json")).json()
    assert facts["frame"] == [720, 720]
    grid = await cloud.http.get(f"{root}/grid.f16")
    assert len(grid.content) == 6 * 2 * 2 * facts["grid"]["columns"] * facts["grid"]["rows"]
    for name in ("base.webp", "mouth.webp", "eyes.webp"):
        file = await cloud.http.get(f"{root}/{name}")
        assert file.status_code == 200
        assert file.headers["Content-Type"] == "image/webp"
        assert file.headers["Access-Control-Allow-Origin"] == "*"
        assert "max-age" in file.headers["Cache-Control"]
        again = await cloud.http.get(
            f"{root}/{name}", headers={"If-None-Match": file.headers["ETag"]}
        )
        assert (again.status_code, again.content) == (304, b"")
    for path in ("parley_elin/720x720/x", "parley_elin/1x1/meta.json", "x/512x512/meta.json"):
        assert (await cloud.http.get(f"/face/{path}")).status_code == 404


async def test_a_viewer_that_leaves_before_it_is_connected(cloud: Cloud) -> None:
    await cloud.go_on_air()
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    peer.createDataChannel("blendshape")
    peer.addTransceiver("audio", direction="recvonly")
    await peer.setLocalDescription(await peer.createOffer())
    response = await post(cloud, "stream-1", peer.localDescription.sdp)
    assert (await cloud.http.delete(response.headers["Location"])).status_code == 200
    async with asyncio.timeout(60):
        while (await cloud.http.get("/healthz")).json()["viewers"]:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    await peer.close()
