"""Where the profiles come from: a file, or the environment with one fallback for each stage."""

import os
from collections.abc import Iterator, Mapping

from services.runtime.settings.environment import SettingsError, require_ways, variables
from services.speech.profiles.file import read_providers_file
from services.speech.profiles.profile import DEFAULT, Chain, Profile, Profiles
from services.speech.settings import SpeechSettings

_STAGES = ("recognizer", "chat", "synthesizer")


def choose_profiles(
    settings: SpeechSettings, environment: Mapping[str, str] = os.environ
) -> Profiles:
    """Return the profiles; raises SettingsError."""
    path = settings.providers_file
    if path is None:
        return _of_environment(settings)
    if both := tuple(_set_beside(environment)):
        raise SettingsError(
            "\n".join(
                f"{name}: must be unset, as {path} says who serves each stage; move it there"
                for name in both
            )
        )
    profiles = read_providers_file(path, environment)
    require_ways(each.base_url for each in profiles.vendors)
    return profiles


def _set_beside(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield the variables of stages that are set; a key that all vendors share may be."""
    for variable in variables(SpeechSettings):
        if variable.place[0] in _STAGES:
            for name in variable.names:
                for each in (name, f"{name}_FILE"):
                    if name.startswith("SPEECH_") and environment.get(each):
                        yield each


def _of_environment(settings: SpeechSettings) -> Profiles:
    recognizer, chat, synthesizer = settings.recognizer, settings.chat, settings.synthesizer
    fallback = synthesizer.fallback
    profile = Profile(
        name=DEFAULT,
        recognizer=Chain(providers=recognizer.providers, first_byte_s=recognizer.first_byte_s),
        chat=Chain(providers=chat.providers, first_byte_s=chat.first_byte_s),
        synthesizer=Chain(providers=synthesizer.providers, first_byte_s=synthesizer.first_byte_s),
        voices={} if fallback is None else {fallback.setting: synthesizer.fallback_voices},
    )
    return Profiles(by_name={DEFAULT: profile}, default_name=DEFAULT)
