"""`python -m services.speech`: the speech service as a process."""

from services.runtime.logs import configure_logs
from services.runtime.process import run, until_stopped
from services.runtime.settings import load
from services.speech.app import open_providers, running, serving_options
from services.speech.embedded.library import LibrarySettings
from services.speech.embedded.store import ModelStoreError
from services.speech.personas import PersonaError, load_personas
from services.speech.settings import SpeechSettings


async def main() -> None:
    """Serve until a signal comes."""
    settings = load(SpeechSettings)
    library = load(LibrarySettings)
    configure_logs("speech")
    personas = load_personas(settings.personas_folder, default_id=settings.default_persona)
    async with (
        open_providers(settings, library, personas) as providers,
        running(
            serving_options(settings),
            providers=providers,
            personas=personas,
            task_target=settings.task_target,
            avatar_target=settings.avatar_target,
        ),
    ):
        await until_stopped()


if __name__ == "__main__":
    run("speech", main, failures=(ModelStoreError, PersonaError))
