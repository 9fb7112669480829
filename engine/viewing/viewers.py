"""Viewers of a stream: one peer connection each, fed with the packets of the stage."""

import asyncio
import ipaddress
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from enum import StrEnum

import aioice.ice
import structlog
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcrtpparameters import RTCRtpCodecCapability
from aiortc.sdp import MediaDescription, SessionDescription, candidate_from_sdp

from engine.audio.opus import SoundPacket
from engine.face.encoder import VideoPacket
from engine.tasks.stage import Stage
from engine.tasks.task import Task
from engine.viewing.pose_channel import PoseChannel

CONNECT_S = 20.0
NEGOTIATE_S = 10.0
MAX_QUEUED_PACKETS = 50
MAX_VIEWERS = 32
# Sound, picture and poses, and as many again that are answered `inactive`.
MAX_SECTIONS = 6

log = structlog.get_logger()


class Output(StrEnum):
    """Who renders the face: the engine, or the viewer from the poses it receives."""

    VIDEO = "video"
    BLENDSHAPE = "blendshape"


class BadOffer(Exception):
    """The SDP cannot be answered; the message says why."""


class TooManyViewers(Exception):
    """The stream already has the maximum number of viewers."""


class SoundTrack(MediaStreamTrack):
    """A track of packets that are already encoded."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.sent_pts: int | None = None
        self._packets: asyncio.Queue[SoundPacket] = asyncio.Queue(MAX_QUEUED_PACKETS)

    def put(self, packet: SoundPacket) -> None:
        """Queue a packet; a viewer that does not keep up misses the oldest."""
        if self._packets.full():
            self._packets.get_nowait()
        self._packets.put_nowait(packet)

    async def recv(self) -> SoundPacket:
        if self.readyState != "live":
            raise MediaStreamError
        packet = await self._packets.get()
        # The sender sends it before any other task runs.
        self.sent_pts = packet.pts
        return packet


class PictureTrack(MediaStreamTrack):
    """A track of frames that are already encoded; it starts with a key frame."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self._packets: asyncio.Queue[VideoPacket] = asyncio.Queue(MAX_QUEUED_PACKETS)
        self._wants_key = True
        self._ask_for_key: Callable[[], None] = _nobody_to_ask

    def put(self, packet: VideoPacket) -> None:
        """Queue a packet; a viewer that does not keep up continues at the next key frame."""
        if self._packets.full():
            while not self._packets.empty():
                self._packets.get_nowait()
            self._wants_key = True
            self._ask_for_key()
        if packet.is_keyframe:
            self._wants_key = False
        if not self._wants_key:
            self._packets.put_nowait(packet)

    def request_key(self) -> None:
        """Handle a viewer's report that it lost frames."""
        self._ask_for_key()

    @contextmanager
    def showing(self, stage: Stage) -> Iterator[None]:
        """Receive the frames of a stage while the block is open."""
        self._ask_for_key = stage.want_key_frame
        try:
            with stage.seen_by(self):
                yield
        finally:
            self._ask_for_key = _nobody_to_ask

    async def recv(self) -> VideoPacket:
        if self.readyState != "live":
            raise MediaStreamError
        return await self._packets.get()


def _nobody_to_ask() -> None:
    """Before and after a stage is shown."""


class Viewer:
    """One peer connection, from the SDP answer to its end."""

    def __init__(self, viewer_id: str, output: Output) -> None:
        self.viewer_id = viewer_id
        self._output = output
        self._connected = asyncio.Event()
        self._leaving = asyncio.Event()
        # Without the empty list, aiortc asks a public STUN server.
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._sound = SoundTrack()
        self._picture: PictureTrack | None = None
        self._poses: PoseChannel | None = None
        self._peer.on("connectionstatechange", self._follow)

    async def answer(self, offer: str) -> str:
        """Return the SDP answer with all candidates; raises `BadOffer`."""
        try:
            async with asyncio.timeout(NEGOTIATE_S):
                return await self._negotiate(offer)
        except BadOffer:
            raise
        except Exception as error:
            # aiortc raises exceptions of any kind for malformed offers.
            log.info("offer refused", viewer_id=self.viewer_id, error=type(error).__name__)
            raise BadOffer("the offer cannot be answered") from None

    async def _negotiate(self, offer: str) -> str:
        description = SessionDescription.parse(offer)
        _check_offer(description)
        match self._output:
            case Output.VIDEO if _wants_picture(description):
                self._add_picture()
            case Output.BLENDSHAPE if not _has_channel(description):
                raise BadOffer("the offer has no data channel")
        await self._peer.setRemoteDescription(
            RTCSessionDescription(sdp=without_candidates(offer), type="offer")
        )
        sender = self._peer.addTrack(self._sound)
        if self._output is Output.BLENDSHAPE:
            self._poses = PoseChannel(self._sound, sender)
            self._peer.on("datachannel", self._poses.take)
        for transceiver in self._peer.getTransceivers():
            sends = transceiver.sender.track is not None
            transceiver.direction = "sendonly" if sends else "inactive"
        await self._peer.setLocalDescription(await self._peer.createAnswer())
        return self._peer.localDescription.sdp

    def _add_picture(self) -> None:
        # Before the offer is taken, as that is when aiortc looks at the preferences. It has the
        # first section of the kind, so that one must be fit for it.
        self._picture = PictureTrack()
        transceiver = self._peer.addTransceiver(self._picture, direction="sendonly")
        transceiver.setCodecPreferences(_picture_codecs())
        # aiortc does not pass requests for key frames on to a track of packets.
        transceiver.sender._send_keyframe = self._picture.request_key  # type: ignore[method-assign]

    async def watch(self, stage: Stage) -> None:
        """Send until the viewer leaves, disappears, or fails to connect."""
        try:
            async with asyncio.timeout(CONNECT_S):
                await self._connected.wait()
        except TimeoutError:
            log.info("viewer never connected", viewer_id=self.viewer_id)
            return
        with ExitStack() as stack:
            stack.enter_context(stage.watched_by(self._sound))
            if self._picture is not None:
                stack.enter_context(self._picture.showing(stage))
            if self._poses is not None:
                stack.enter_context(stage.read_by(self._poses))
            await self._leaving.wait()

    @property
    def has_picture(self) -> bool:
        """Whether the answer offers video."""
        return self._picture is not None

    @property
    def is_leaving(self) -> bool:
        return self._leaving.is_set()

    def leave(self) -> None:
        """Have `watch` return, even before the connection is established."""
        self._leaving.set()
        self._connected.set()

    async def close(self) -> None:
        """Close the connection."""
        try:
            await self._peer.close()
        except Exception as error:
            # aiortc cannot always close a peer that was only partly set up.
            reason = type(error).__name__
            log.info("viewer not closed cleanly", viewer_id=self.viewer_id, error=reason)

    def _follow(self) -> None:
        match self._peer.connectionState:
            case "connected":
                self._connected.set()
            case "failed" | "closed":
                self.leave()


class Viewers:
    """All viewers of all streams."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._viewers: dict[tuple[str, str], Viewer] = {}

    @property
    def count(self) -> int:
        return len(self._viewers)

    async def admit(self, task: Task, offer: str, output: Output) -> tuple[str, str]:
        """Answer an offer; return the viewer's id and the SDP answer."""
        stage = task.require_stage()
        if sum(stream == task.stream_id for stream, _ in self._viewers) >= MAX_VIEWERS:
            raise TooManyViewers
        viewer = Viewer(secrets.token_urlsafe(16), output)
        # The place is taken before the first await, so that no two offers get the same one.
        self._viewers[task.stream_id, viewer.viewer_id] = viewer
        try:
            answer = await viewer.answer(offer)
        except BaseException:
            del self._viewers[task.stream_id, viewer.viewer_id]
            await viewer.close()
            raise
        if viewer.has_picture:
            stage.prepare_picture()
        self._group.create_task(self._keep(task, stage, viewer))
        return viewer.viewer_id, answer

    def find(self, stream_id: str, viewer_id: str) -> Viewer | None:
        """Return a viewer who is present and not about to leave."""
        viewer = self._viewers.get((stream_id, viewer_id))
        return None if viewer is None or viewer.is_leaving else viewer

    async def _keep(self, task: Task, stage: Stage, viewer: Viewer) -> None:
        watching = asyncio.create_task(viewer.watch(stage))
        ending = asyncio.create_task(task.stopping.wait())
        try:
            await asyncio.wait((watching, ending), return_when=asyncio.FIRST_COMPLETED)
        finally:
            del self._viewers[task.stream_id, viewer.viewer_id]
            ending.cancel()
            watching.cancel()
            await asyncio.gather(watching, ending, return_exceptions=True)
            await viewer.close()
            if not watching.cancelled() and (error := watching.exception()):
                log.error("viewer failed", viewer_id=viewer.viewer_id, exc_info=error)


@asynccontextmanager
async def keeping_viewers() -> AsyncIterator[Viewers]:
    """Open viewers; all tasks must have ended before the end of the context."""
    async with asyncio.TaskGroup() as group:
        yield Viewers(group)


@contextmanager
def loopback_candidates(public_host: str) -> Iterator[None]:
    """Offer only the loopback if nobody else can reach us; aioice omits such addresses."""
    address = _address_of(public_host)
    if address is None or not ipaddress.ip_address(address).is_loopback:
        yield
        return
    original = aioice.ice.get_host_addresses
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: [address]
    try:
        yield
    finally:
        aioice.ice.get_host_addresses = original


def _address_of(host: str) -> str | None:
    """Return the IPv4 address of a name, else its IPv6 address, or None."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except OSError:
        return None
    addresses = sorted((family != socket.AF_INET, str(at[0])) for family, _, _, _, at in found)
    return addresses[0][1]


def check_candidates(fragment: str) -> None:
    """Check a trickle-ice-sdpfrag body; raises `BadOffer`."""
    mid = None
    for line in fragment.splitlines():
        if line.startswith("a=mid:"):
            mid = line.removeprefix("a=mid:").strip()
        elif line.startswith("a=candidate:"):
            try:
                candidate_from_sdp(line.removeprefix("a=candidate:"))
            except (ValueError, IndexError, AssertionError):
                raise BadOffer("a candidate line is malformed") from None
            if mid is None:
                raise BadOffer("a candidate has no section")


def without_candidates(offer: str) -> str:
    """Return an offer without addresses.

    Whatever it names would get packets from us, whoever lives there. A viewer needs none: it
    reaches us at the candidates of the answer, and ICE answers only to where a check with the
    session's password came from. Without the end mark, ICE waits for that.
    """
    lines = (
        line
        for line in offer.splitlines()
        if not line.startswith(("a=candidate:", "a=end-of-candidates"))
    )
    return "\r\n".join(lines) + "\r\n"


def _check_offer(offer: SessionDescription) -> None:
    if len(offer.media) > MAX_SECTIONS:
        raise BadOffer(f"the offer has more than {MAX_SECTIONS} sections")
    sounds = [media for media in offer.media if media.kind == "audio"]
    if not any(codec.name.lower() == "opus" for media in sounds for codec in media.rtp.codecs):
        raise BadOffer("the offer has no audio section with Opus")
    if not any(media.direction in ("recvonly", "sendrecv") for media in sounds):
        raise BadOffer("the offer does not want to receive audio")
    for media in offer.media:
        if not media.ice or not media.ice.usernameFragment or not media.ice.password:
            raise BadOffer("a section has no ICE credentials")
        if not media.dtls or not media.dtls.fingerprints:
            raise BadOffer("a section has no DTLS fingerprint")


def _wants_picture(offer: SessionDescription) -> bool:
    pictures = [media for media in offer.media if media.kind == "video"]
    return bool(pictures) and _is_fit(pictures[0])


def _has_channel(offer: SessionDescription) -> bool:
    return any(media.kind == "application" for media in offer.media)


def _is_fit(media: MediaDescription) -> bool:
    offered = {codec.name.upper() for codec in media.rtp.codecs}
    return "VP8" in offered and media.direction in ("recvonly", "sendrecv")


def _picture_codecs() -> list[RTCRtpCodecCapability]:
    codecs = RTCRtpSender.getCapabilities("video").codecs
    return [codec for codec in codecs if codec.mimeType in ("video/VP8", "video/rtx")]
