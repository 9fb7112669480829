"""What the speech service would do with its settings, tried without serving.

`python -m services.speech --check` tells it for `parley doctor`.
"""

import asyncio
import math
import re
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

from pydantic import ValidationError

from services.runtime.check import Finding, Verdict, settings_problems
from services.runtime.settings import SettingsError, load
from services.speech.embedded.library import LibrarySettings
from services.speech.personas.catalogue import load_personas
from services.speech.personas.format import PersonaError
from services.speech.ports import LISTENING_RATE_HERTZ, ChatMessage, ProviderError, Role
from services.speech.providers.answers import audible, concluded, worded
from services.speech.providers.factory import (
    check_language_model,
    check_voices,
    endpoint,
    voice_offer,
)
from services.speech.providers.openai_chat import OpenAiChatModel
from services.speech.providers.openai_speech import OpenAiSynthesizer
from services.speech.providers.openai_transcription import OpenAiRecognizer
from services.speech.settings import Provider, SpeechSettings
from services.speech.streams import Deadlines, closing

PATIENCE = Deadlines(first_s=10, next_s=10, total_s=15)
Trial: TypeAlias = Callable[[SpeechSettings, str], Awaitable[None]]
_STATUS = re.compile(r"status (\d{3})")
_MEANINGS = {
    "400": "it does not understand the request, perhaps the model",
    "401": "the key is not accepted",
    "403": "the key may not use this",
    "404": "there is no such address or model",
    "429": "the quota is used up",
}
_PERSONA_REMEDY = "Mend the file; docs/personas.md tells of the format."


async def inspect() -> Sequence[Finding]:
    """Look at the personas and at what the settings choose, and ask each vendor once.

    Raises SettingsError when the settings cannot even be read.
    """
    settings = load(SpeechSettings)
    return [
        *_choices(settings),
        *_personas(settings),
        *await asyncio.gather(
            *(
                _vendor(settings, setting, trial)
                for stage, trial in TRIALS.items()
                for setting in (stage, f"{stage}_fallback")
                if getattr(settings, setting).value == Provider.OPENAI.value
            )
        ),
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
        return  # Told of with the models.


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


async def _vendor(settings: SpeechSettings, stage: str, trial: Trial) -> Finding:
    """Ask a vendor for something small, as a conversation would."""
    name = f"SPEECH_{stage.upper()}"
    url = getattr(settings, f"{stage}_base_url")
    try:
        await trial(settings, stage)
    except ProviderError as error:
        return Finding(
            subject=name,
            verdict=Verdict.PROBLEM,
            found=f"{url}: {_in_words(error)}",
            remedy=f"Check {name}_BASE_URL, {name}_API_KEY and {name}_MODEL, and the network.",
        )
    return Finding(subject=name, verdict=Verdict.FINE, found=f"{url} answers")


def _in_words(error: ProviderError) -> str:
    status = _STATUS.search(str(error))
    meaning = _MEANINGS.get(status[1], "") if status else ""
    return ": ".join(filter(None, (str(error), meaning, error.vendor_message)))


async def _recognize(settings: SpeechSettings, stage: str) -> None:
    """A tone is no speech; that there is an answer is what counts."""
    async with (
        OpenAiRecognizer.open(endpoint(settings, stage, PATIENCE)) as recognizer,
        closing(
            concluded(recognizer.transcribe(_tone(), language_code="en"), recognizer.name)
        ) as transcripts,
    ):
        async for _ in transcripts:
            pass


async def _chat(settings: SpeechSettings, stage: str) -> None:
    question = ChatMessage(role=Role.USER, content="Say OK.")
    async with (
        OpenAiChatModel.open(
            endpoint(settings, stage, PATIENCE),
            max_tokens=settings.chat_max_tokens or None,
            temperature=settings.chat_temperature,
        ) as chat,
        closing(worded(chat.stream([question]), chat.name)) as deltas,
    ):
        async for _ in deltas:
            return


async def _speak(settings: SpeechSettings, stage: str) -> None:
    voice_ids = [voice.voice_id for voice in voice_offer(settings, stage).voices]
    vendor = endpoint(settings, stage, PATIENCE)
    async with (
        OpenAiSynthesizer.open(vendor, voice_ids=voice_ids) as synthesizer,
        closing(
            audible(
                synthesizer.synthesize("OK.", voice_id=voice_ids[0], language_code="en"),
                synthesizer.name,
            )
        ) as chunks,
    ):
        async for _ in chunks:
            return


async def _tone() -> AsyncIterator[bytes]:
    """A second of 440 Hz, quiet."""
    step = 2 * math.pi * 440 / LISTENING_RATE_HERTZ
    yield array(
        "h", (round(3000 * math.sin(step * at)) for at in range(LISTENING_RATE_HERTZ))
    ).tobytes()


TRIALS: Mapping[str, Trial] = MappingProxyType(
    {"recognizer": _recognize, "chat": _chat, "synthesizer": _speak}
)
