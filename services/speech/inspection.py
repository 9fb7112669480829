"""Checks the speech service's settings, personas and vendors without serving.

`python -m services.speech --check` reports the findings to `parley doctor`.
"""

import asyncio
import math
import re
from array import array
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from pydantic import ValidationError

from services.runtime.check import Finding, Verdict, settings_problems
from services.runtime.settings import SettingsError, load
from services.speech.embedded.library import LibrarySettings
from services.speech.personas.catalogue import load_personas
from services.speech.personas.format import PersonaError
from services.speech.ports import LISTENING_RATE_HERTZ, ProviderError
from services.speech.provider_settings import VendorSettings
from services.speech.providers.checks import check_language_model, check_voices, voice_offer
from services.speech.providers.probes import probe_chat, probe_recognizer, probe_synthesizer
from services.speech.settings import SpeechSettings
from services.speech.streams import Deadlines
from services.speech.vendors import registry

P = TypeVar("P")

PATIENCE = Deadlines(first_s=10, next_s=10, total_s=15)
_STATUS = re.compile(r"status (\d{3})")
_MEANINGS = {
    "400": "it does not understand the request, perhaps because of the model",
    "401": "the key is not accepted",
    "403": "the key may not use this",
    "404": "there is no such address or model",
    "429": "the quota is used up",
}
_PERSONA_REMEDY = "Fix the file; docs/personas.md describes the format."


async def inspect() -> Sequence[Finding]:
    """Check the settings' choices and the personas, and ask each vendor once.

    Raises SettingsError when the settings cannot be read.
    """
    settings = load(SpeechSettings)
    return [
        *_choices(settings),
        *_personas(settings),
        *await asyncio.gather(*_vendors(settings)),
    ]


def _choices(settings: SpeechSettings) -> Iterator[Finding]:
    try:
        check_voices(settings)
    except SettingsError as error:
        yield from settings_problems(error)
    try:
        check_language_model(settings, LibrarySettings())
    except SettingsError as error:
        yield from settings_problems(error)
    except ValidationError:
        return  # Reported with the models.


def _personas(settings: SpeechSettings) -> Iterator[Finding]:
    try:
        personas = load_personas(
            settings.personas_folder,
            default_id=settings.default_persona,
            offer=voice_offer(settings),
        )
    except PersonaError as error:
        yield from _persona_problems(error)
        return
    for left_out in personas.left_out:
        yield from _persona_problems(left_out)
    yield Finding(subject="personas", verdict=Verdict.FINE, found=", ".join(personas.by_id))


def _persona_problems(error: PersonaError) -> Iterator[Finding]:
    for fault in error.faults:
        yield Finding(
            subject="persona", verdict=Verdict.PROBLEM, found=fault, remedy=_PERSONA_REMEDY
        )


def _vendors(settings: SpeechSettings) -> Iterator[Awaitable[Finding]]:
    """Ask each vendor for something small, as a conversation would."""
    for recognizer in settings.recognizer.providers:
        if isinstance(recognizer, VendorSettings):
            opening = registry.open_recognizer(recognizer, PATIENCE)
            yield _asked(recognizer, opening, lambda it: probe_recognizer(it, _tone()))
    for chat in settings.chat.providers:
        if isinstance(chat, VendorSettings):
            yield _asked(chat, registry.open_chat(chat, PATIENCE), probe_chat)
    for synthesizer in settings.synthesizer.providers:
        if isinstance(synthesizer, VendorSettings):
            yield _asked(
                synthesizer, registry.open_synthesizer(synthesizer, PATIENCE), probe_synthesizer
            )


async def _asked(
    vendor: VendorSettings,
    opening: AbstractAsyncContextManager[P],
    probe: Callable[[P], Awaitable[None]],
) -> Finding:
    name = vendor.setting
    try:
        async with opening as provider:
            await probe(provider)
    except ProviderError as error:
        return Finding(
            subject=name,
            verdict=Verdict.PROBLEM,
            found=f"{vendor.base_url}: {_in_words(error)}",
            remedy=f"Check {name}_BASE_URL, {name}_API_KEY and {name}_MODEL, and the network.",
        )
    return Finding(subject=name, verdict=Verdict.FINE, found=f"{vendor.base_url} answers")


def _in_words(error: ProviderError) -> str:
    status = _STATUS.search(str(error))
    meaning = _MEANINGS.get(status[1], "") if status else ""
    return ": ".join(filter(None, (str(error), meaning, error.vendor_message)))


def _tone() -> bytes:
    """A second of 440 Hz, quiet: no speech, but not silence either."""
    step = 2 * math.pi * 440 / LISTENING_RATE_HERTZ
    return array(
        "h", (round(3000 * math.sin(step * at)) for at in range(LISTENING_RATE_HERTZ))
    ).tobytes()
