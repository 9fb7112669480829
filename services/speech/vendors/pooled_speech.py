"""Synthesizers that speak a reply on one connection while its text grows.

Connections are kept in a pool: they are open before a reply needs one, and may serve many.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Generic, Protocol, Self, TypeVar

from services.speech.ports.synthesis import SpeechChunk, Voice
from services.speech.provider_settings import SynthesizerVendorSettings
from services.speech.streams import Deadlines
from services.speech.vendors.feeding import on_session
from services.speech.vendors.http.client import Endpoint
from services.speech.vendors.websocket.client import VendorSocket
from services.speech.vendors.websocket.pool import SocketPool
from services.speech.voices import any_language

S = TypeVar("S", bound=SynthesizerVendorSettings)

SAMPLE_RATE_HERTZ = 24_000


class Speech(Protocol):
    """What is spoken on a connection."""

    async def send(self, text: str) -> None:
        """Add text; raises ProviderError."""

    async def finish(self) -> None:
        """End the texts; raises ProviderError."""

    def chunks(self) -> AsyncIterator[SpeechChunk]:
        """Yield the audio in whole samples, to its end; raises ProviderError."""


class PooledSynthesizer(ABC, Generic[S]):
    """What such synthesizers share; each says how a connection is opened, and how it speaks."""

    sample_rate_hertz = SAMPLE_RATE_HERTZ

    def __init__(self, settings: S, endpoint: Endpoint, pool: SocketPool) -> None:
        self._settings = settings
        self._endpoint = endpoint
        self._pool = pool
        self._voices = any_language(settings.voice_ids)

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: S, deadlines: Deadlines) -> AsyncIterator[Self]:
        """A synthesizer with its own connections."""
        endpoint = Endpoint.of(settings, deadlines)
        async with SocketPool.open(partial(cls.connect, settings, endpoint)) as pool:
            yield cls(settings, endpoint, pool)

    @classmethod
    @abstractmethod
    def connect(cls, settings: S, endpoint: Endpoint) -> AbstractAsyncContextManager[VendorSocket]:
        """A connection that a reply can begin on; raises ProviderError."""

    @property
    def name(self) -> str:
        """The provider's name in logs and metrics."""
        return self._endpoint.name

    @property
    def voices(self) -> Sequence[Voice]:
        """The voices that the settings name; each speaks any language."""
        return self._voices

    def _spoken(self, texts: AsyncIterator[str], speech: Speech) -> AsyncIterator[SpeechChunk]:
        """Yield the audio of texts that are sent as they come."""
        return on_session(
            texts,
            speech.chunks(),
            send=speech.send,
            finish=speech.finish,
            deadlines=self._endpoint.deadlines,
            provider=self.name,
        )
