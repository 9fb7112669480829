"""How a vendor's file says what it serves."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Generic, TypeVar

from services.speech.ports.chat import ChatModel
from services.speech.ports.recognition import Recognizer
from services.speech.ports.synthesis import Synthesizer, Voice
from services.speech.provider_settings import VendorSettings
from services.speech.streams import Deadlines

S = TypeVar("S", bound=VendorSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecognizerVendor(Generic[S]):
    """A recognizer on the network: its settings, whose `kind` names it, and what opens it."""

    settings: type[S]
    open: Callable[[S, Deadlines], AbstractAsyncContextManager[Recognizer]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatVendor(Generic[S]):
    """A language model on the network, in the same way."""

    settings: type[S]
    open: Callable[[S, Deadlines], AbstractAsyncContextManager[ChatModel]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SynthesizerVendor(Generic[S]):
    """A synthesizer on the network, in the same way.

    `list_voices` asks which voices the key may use, for vendors that tell; it raises ProviderError.
    """

    settings: type[S]
    open: Callable[[S, Deadlines], AbstractAsyncContextManager[Synthesizer]]
    list_voices: Callable[[S, Deadlines], Awaitable[Sequence[Voice]]] | None = None
