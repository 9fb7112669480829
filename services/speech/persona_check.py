"""`python -m services.speech.persona_check [FILE…]`: validate persona files.

Without arguments it checks all files in the configured folder. The exit code is 0 if all are valid.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from services.runtime.settings.environment import SettingsError, load
from services.speech.personas.catalogue import load_persona
from services.speech.personas.format import PersonaError
from services.speech.profiles.choice import choose_profiles
from services.speech.providers.checks import voice_offer
from services.speech.settings import SpeechSettings
from services.speech.voices import VoiceOffer


def check(paths: Sequence[Path], offer: VoiceOffer) -> bool:
    """Print the faults of each file, or that it is fine; return whether all files are."""
    is_fine = True
    for path in paths:
        try:
            persona = load_persona(path, offer=offer)
        except PersonaError as error:
            is_fine = False
            print(error)
        else:
            languages = ", ".join(each.language_code for each in persona.languages)
            print(f"{path}: fine: {persona.display_name} speaks {languages}")
    return is_fine


def main() -> int:
    """Check the files given on the command line; return the exit code."""
    try:
        settings = load(SpeechSettings)
        offer = voice_offer(choose_profiles(settings))
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    folder = settings.personas_folder
    paths = [Path(each) for each in sys.argv[1:]] or sorted(folder.glob("*.toml"))
    if not paths:
        print(f"{folder}: there is no persona file (*.toml)", file=sys.stderr)
        return 1
    return 0 if check(paths, offer) else 1


if __name__ == "__main__":
    sys.exit(main())
