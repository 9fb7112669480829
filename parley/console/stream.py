"""The stream of a digital human, of which the console plays the sound: WHEP, as viewers do."""

import asyncio
import os
from urllib.parse import urlsplit

import av
import httpx
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from parley.console.sound import LOUDSPEAKER_HZ, Loudspeaker
from parley.gateway_client.answers import Json
from services.runtime.network.proxies import proxy_for
from services.runtime.network.transport import transport_to

_CONNECT_S = 20.0


class NoStreamError(Exception):
    """The stream cannot be heard; the message says why."""


async def play(access: Json, loudspeaker: Loudspeaker, playing: asyncio.Event) -> None:
    """Play the stream that a viewer's token opens until it ends; sets `playing` at its first sound.

    Raises NoStreamError if it never begins.
    """
    playback = access.get("playback", {})
    if playback.get("protocol") != "WHEP":
        raise NoStreamError("no sound: this cloud's streams take its own SDK; watch on the page")
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    tracks: asyncio.Queue[MediaStreamTrack] = asyncio.Queue()
    peer.on("track", tracks.put_nowait)
    try:
        peer.addTransceiver("audio", direction="recvonly")
        await peer.setLocalDescription(await peer.createOffer())
        try:
            async with asyncio.timeout(_CONNECT_S):
                answer = await _answer(playback["url"], access["token"], peer.localDescription.sdp)
                await peer.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
                track = await tracks.get()
                first = await track.recv()
        except (TimeoutError, MediaStreamError, httpx.HTTPError, OSError) as error:
            host = urlsplit(playback["url"]).netloc
            raise NoStreamError(f"no sound: {host} sends no stream") from error
        playing.set()
        await _play_on(track, first, loudspeaker)
    finally:
        await peer.close()


async def _play_on(track: MediaStreamTrack, frame: object, loudspeaker: Loudspeaker) -> None:
    resampler = av.AudioResampler(format="s16", layout="stereo", rate=LOUDSPEAKER_HZ)
    while True:
        assert isinstance(frame, av.AudioFrame)
        for each in resampler.resample(frame):
            loudspeaker.play(each.to_ndarray().tobytes())
        try:
            frame = await track.recv()
        except MediaStreamError:
            return


async def _answer(url: str, token: str, offer: str) -> str:
    transport = transport_to(url, proxy=proxy_for(url, os.environ))
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"}
    async with httpx.AsyncClient(transport=transport) as client:
        answer = await client.post(url, content=offer, headers=headers)
        return answer.raise_for_status().text
