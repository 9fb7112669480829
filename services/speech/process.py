"""From the settings to a speech service that serves."""

import structlog

from services.runtime.callers.tenants import read_tenants
from services.runtime.process import until_stopped
from services.runtime.serving.advertising import advertised_address
from services.runtime.settings.environment import load
from services.runtime.telemetry.logs import configure_logs
from services.speech.app import open_providers, running
from services.speech.embedded.library import LibrarySettings
from services.speech.personas.catalogue import Personas, load_personas
from services.speech.profiles.choice import choose_profiles
from services.speech.profiles.profile import Profiles
from services.speech.providers.checks import voice_offer
from services.speech.settings import SpeechSettings

log = structlog.get_logger(__name__)


def read_personas(settings: SpeechSettings, profiles: Profiles) -> Personas:
    """Return the personas, and log those with invalid files as errors. Raises PersonaError."""
    personas = load_personas(
        settings.personas_folder, default_id=settings.default_persona, offer=voice_offer(profiles)
    )
    for error in personas.left_out:
        log.error("PERSONA LEFT OUT: invalid file", faults="; ".join(error.faults))
    return personas


async def serve() -> None:
    """Serve until a signal arrives."""
    settings = load(SpeechSettings)
    library = load(LibrarySettings)
    configure_logs("speech", settings)
    address = advertised_address(
        settings.advertised_address, host=settings.host, port=settings.port, prefix="SPEECH"
    )
    tenants = read_tenants(settings.tenants_file)
    profiles = choose_profiles(settings)
    personas = read_personas(settings, profiles)
    async with (
        open_providers(settings, profiles, library, personas) as providers,
        running(
            settings.serving_options,
            providers=providers,
            personas=personas,
            task_target=settings.task_target,
            avatar_target=settings.avatar_target,
            tenants=tenants,
            address=address,
            drain_s=settings.drain_s,
        ),
    ):
        await until_stopped()
