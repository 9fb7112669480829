"""Which vendors serve each stage: those whose files are in this folder.

A file declares its vendor as `VENDOR`; nothing else needs to know it. docs/providers.md shows how
to write one.
"""

import pkgutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from importlib import import_module
from typing import Any, TypeAlias, TypeVar

from services.speech import vendors
from services.speech.ports.chat import ChatModel
from services.speech.ports.recognition import Recognizer
from services.speech.ports.synthesis import Synthesizer
from services.speech.provider_settings import VendorSettings
from services.speech.streams import Deadlines
from services.speech.vendors.declaration import ChatVendor, RecognizerVendor, SynthesizerVendor

RECOGNITION = Deadlines(first_s=20, next_s=20, total_s=20)
CHAT = Deadlines(first_s=15, next_s=10, total_s=60)
SYNTHESIS = Deadlines(first_s=15, next_s=10, total_s=60)

Vendor: TypeAlias = RecognizerVendor[Any] | ChatVendor[Any] | SynthesizerVendor[Any]
V = TypeVar("V", bound=Vendor)


def _declared() -> Iterator[Vendor]:
    for module in pkgutil.iter_modules(vendors.__path__):
        vendor = getattr(import_module(f"{vendors.__name__}.{module.name}"), "VENDOR", None)
        if vendor is not None:
            yield vendor


def _by_kind(declared: tuple[Vendor, ...], wanted: type[V]) -> Mapping[str, V]:
    return {each.settings.kind: each for each in declared if isinstance(each, wanted)}


_DECLARED = tuple(_declared())
RECOGNIZERS: Mapping[str, RecognizerVendor[Any]] = _by_kind(_DECLARED, RecognizerVendor)
CHATS: Mapping[str, ChatVendor[Any]] = _by_kind(_DECLARED, ChatVendor)
SYNTHESIZERS: Mapping[str, SynthesizerVendor[Any]] = _by_kind(_DECLARED, SynthesizerVendor)


def deadlines_of(settings: VendorSettings, usual: Deadlines) -> Deadlines:
    """Return the deadlines of a stage as a provider's settings change them."""
    return Deadlines(
        first_s=settings.first_answer_s or usual.first_s,
        next_s=settings.next_answer_s or usual.next_s,
        total_s=usual.total_s,
    )


def open_recognizer(
    settings: VendorSettings, deadlines: Deadlines = RECOGNITION
) -> AbstractAsyncContextManager[Recognizer]:
    """The recognizer that the settings describe."""
    return RECOGNIZERS[settings.kind].open(settings, deadlines_of(settings, deadlines))


def open_chat(
    settings: VendorSettings, deadlines: Deadlines = CHAT
) -> AbstractAsyncContextManager[ChatModel]:
    """The language model that the settings describe."""
    return CHATS[settings.kind].open(settings, deadlines_of(settings, deadlines))


def open_synthesizer(
    settings: VendorSettings, deadlines: Deadlines = SYNTHESIS
) -> AbstractAsyncContextManager[Synthesizer]:
    """The synthesizer that the settings describe."""
    return SYNTHESIZERS[settings.kind].open(settings, deadlines_of(settings, deadlines))
