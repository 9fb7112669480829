"""DriveByAudio: fetches an audio file from the public internet, decodes and plays it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import BinaryIO

import httpx

from engine.audio.sound import TRACK_RATE, PcmFormat, VoiceChannel
from engine.sources.decoding import Decoder
from engine.sources.public_network import Network, PublicNetwork, PublicTransport
from engine.tasks.drives import Drive
from engine.tasks.stage import FeedError

MAX_FILE_BYTES = 32 * 2**20
FETCH_S = 20.0
CONNECT_S = 10.0
MAX_REDIRECTS = 5
# Bytes that decompress to a thousand times as many would pass any limit of theirs.
HEADERS = {"Accept-Encoding": "identity"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioFiles:
    """Plays the files behind URLs; used inside `fetching_audio`."""

    client: httpx.AsyncClient
    decoder: Decoder

    async def feed(self, drive: Drive, *, url: str, voice_channel: VoiceChannel) -> None:
        """Fetch, decode and write an MP3 or WAV file; raises `FeedError` if that fails."""
        with TemporaryFile() as pcm:
            with TemporaryFile() as file:
                await self._fetch(url, file)
                await self.decoder.decode(file, pcm)
            (channels,) = pcm.read(1)
            pcm_format = PcmFormat(
                sample_rate=TRACK_RATE, channels=channels, voice_channel=voice_channel
            )
            pcm_input = drive.open(pcm_format)
            while piece := pcm.read(pcm_format.bytes_per_second):
                await pcm_input.write(piece)

    async def _fetch(self, url: str, file: BinaryIO) -> None:
        try:
            async with asyncio.timeout(FETCH_S), self.client.stream("GET", url) as response:
                if not response.is_success:
                    raise FeedError(f"the audio URL answers HTTP {response.status_code}")
                async for chunk in response.aiter_raw():
                    file.write(chunk)
                    if file.tell() > MAX_FILE_BYTES:
                        raise FeedError(f"the audio file has more than {MAX_FILE_BYTES} bytes")
        except TimeoutError:
            raise FeedError(f"the audio URL gave no whole file within {FETCH_S:.0f} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise FeedError(f"the audio URL cannot be fetched: {type(error).__name__}") from None


@asynccontextmanager
async def fetching_audio(networks: Sequence[Network]) -> AsyncIterator[AudioFiles]:
    """Give audio files from the public internet, and from the networks that are named."""
    async with httpx.AsyncClient(
        transport=PublicTransport(PublicNetwork(networks)),
        headers=HEADERS,
        timeout=CONNECT_S,
        follow_redirects=True,
        max_redirects=MAX_REDIRECTS,
        trust_env=False,
    ) as client:
        yield AudioFiles(client=client, decoder=Decoder())
