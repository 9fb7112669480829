"""Checks the speech service's settings, personas and vendors without serving.

`python -m services.speech --check` reports the findings to `parley doctor`.
"""

from collections.abc import Iterator, Sequence

from pydantic import ValidationError

from services.runtime.callers.tenants import read_tenants
from services.runtime.check import Finding, Verdict, settings_problems
from services.runtime.settings.environment import SettingsError, load
from services.speech.embedded.library import LibrarySettings
from services.speech.personas.catalogue import load_personas
from services.speech.personas.format import PersonaError
from services.speech.profiles.choice import choose_profiles
from services.speech.profiles.profile import Profiles
from services.speech.providers.checks import check_profiles, voice_offer
from services.speech.providers.round_trips import ask_vendors
from services.speech.settings import SpeechSettings

_PERSONA_REMEDY = "Fix the file; docs/personas.md describes the format."


async def inspect() -> Sequence[Finding]:
    """Check the settings' choices and the personas, and ask each vendor once.

    Raises SettingsError when the settings, or the files of providers or tenants, cannot be read.
    """
    settings = load(SpeechSettings)
    read_tenants(settings.tenants_file)
    profiles = choose_profiles(settings)
    return [
        *_choices(settings, profiles),
        *_personas(settings, profiles),
        *await ask_vendors(profiles),
    ]


def _choices(settings: SpeechSettings, profiles: Profiles) -> Iterator[Finding]:
    if settings.providers_file is not None:
        yield Finding(
            subject="providers",
            verdict=Verdict.FINE,
            found=f"{settings.providers_file}: profiles {', '.join(profiles.by_name)}",
        )
    try:
        check_profiles(profiles, LibrarySettings())
    except SettingsError as error:
        yield from settings_problems(error)
    except ValidationError:
        return  # Reported with the models.


def _personas(settings: SpeechSettings, profiles: Profiles) -> Iterator[Finding]:
    try:
        personas = load_personas(
            settings.personas_folder,
            default_id=settings.default_persona,
            offer=voice_offer(profiles),
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
