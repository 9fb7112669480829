"""What a profile's choices need of each other, known before anything is opened."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from services.runtime.settings.environment import SettingsError
from services.speech.embedded.library import LibrarySettings, choose_language_model
from services.speech.embedded.voices import VOICES
from services.speech.ports.synthesis import Voice
from services.speech.profiles.profile import Profile, Profiles
from services.speech.provider_settings import (
    EmbeddedChatSettings,
    EmbeddedSynthesizerSettings,
    VendorSettings,
)
from services.speech.settings import SynthesizerProvider
from services.speech.voices import VoiceOffer, any_language

_TOKENS = frozenset(
    ("per_million_input_tokens", "per_million_cached_tokens", "per_million_output_tokens")
)


def voice_offer(profiles: Profiles) -> VoiceOffer:
    """Return the voices that the default profile will have, and the others, without opening any."""
    by_profile = {name: _offer(profile) for name, profile in profiles.by_name.items()}
    return replace(by_profile[profiles.default_name], by_profile=by_profile)


def _offer(profile: Profile) -> VoiceOffer:
    first = profile.synthesizer.first
    return VoiceOffer(synthesizer=first.kind, voices=_voices(first))


def check_profiles(profiles: Profiles, library: LibrarySettings) -> None:
    """Raise SettingsError for choices that cannot work together."""
    faults = [fault for profile in profiles.by_name.values() for fault in _faults(profile, library)]
    if faults:
        raise SettingsError("\n".join(dict.fromkeys(faults)))


def _faults(profile: Profile, library: LibrarySettings) -> Iterator[str]:
    yield from _unknown_voices(profile)
    chats = profile.chat.providers
    needs_model = len(chats) > 1 and any(isinstance(it, EmbeddedChatSettings) for it in chats)
    if needs_model and choose_language_model(library).model is None:
        yield f"{chats[1].setting}: needs a language model, and PARLEY_LLM is none"
    for stage, units in (
        (profile.recognizer.providers, frozenset(("per_audio_minute",))),
        (chats, _TOKENS),
        (profile.synthesizer.providers, frozenset(("per_million_characters", "per_audio_minute"))),
    ):
        for each in stage:
            if isinstance(each, VendorSettings) and each.price is not None:
                for unit in sorted(each.price.model_fields_set - units - {"currency"}):
                    expected = ", ".join(sorted(units))
                    yield f"{each.told('price')}: {unit} is not counted; expected {expected}"


def _unknown_voices(profile: Profile) -> Iterator[str]:
    """Yield pairs of voices that the two synthesizers do not have."""
    first, *others = profile.synthesizer.providers
    for other in others:
        pairs = profile.voices.get(other.setting, {})
        unknown = (pairs.keys() - _ids(first)) | (set(pairs.values()) - _ids(other))
        if unknown:
            where = (
                f"profiles.{profile.name}.voices.{other.table}"
                if other.table
                else f"{other.setting}_VOICE_PAIRS"
            )
            yield f"{where}: there is no voice {', '.join(sorted(unknown))}"


def _ids(provider: SynthesizerProvider) -> set[str]:
    return {voice.voice_id for voice in _voices(provider)}


def _voices(provider: SynthesizerProvider) -> Sequence[Voice]:
    match provider:
        case EmbeddedSynthesizerSettings():
            return VOICES
        case vendor:
            return any_language(vendor.voice_ids)
