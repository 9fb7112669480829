"""What the settings' choices need of each other, known before anything is opened."""

from collections.abc import Sequence

from services.runtime.settings import SettingsError
from services.speech.embedded.library import LibrarySettings, choose_language_model
from services.speech.embedded.voices import VOICES
from services.speech.ports import Voice
from services.speech.provider_settings import (
    EmbeddedChatSettings,
    EmbeddedSynthesizerSettings,
)
from services.speech.settings import SpeechSettings, SynthesizerProvider
from services.speech.voices import VoiceOffer, any_language


def voice_offer(settings: SpeechSettings) -> VoiceOffer:
    """Return the voices that the synthesizer will have, without opening it."""
    first = settings.synthesizer.first
    return VoiceOffer(synthesizer=first.kind, voices=_voices(first))


def check_voices(settings: SpeechSettings) -> None:
    """Raise SettingsError for pairs of voices that the two synthesizers do not have."""
    stage = settings.synthesizer
    if stage.fallback is None:
        return
    first, fallback = (
        {voice.voice_id for voice in _voices(each)} for each in (stage.first, stage.fallback)
    )
    pairs = stage.fallback_voices
    unknown = [*(pairs.keys() - first), *(set(pairs.values()) - fallback)]
    if unknown:
        raise SettingsError(
            "SPEECH_SYNTHESIZER_FALLBACK_VOICE_PAIRS: there is no voice "
            + ", ".join(sorted(unknown))
        )


def _voices(provider: SynthesizerProvider) -> Sequence[Voice]:
    match provider:
        case EmbeddedSynthesizerSettings():
            return VOICES
        case vendor:
            return any_language(vendor.voice_ids)


def check_language_model(settings: SpeechSettings, library: LibrarySettings) -> None:
    """Raise SettingsError for a fallback of, or to, an embedded model where there is none."""
    stage = settings.chat
    if stage.fallback is None or choose_language_model(library).model is not None:
        return
    if any(isinstance(each, EmbeddedChatSettings) for each in stage.providers):
        raise SettingsError("SPEECH_CHAT_FALLBACK: needs a language model, and PARLEY_LLM is none")
