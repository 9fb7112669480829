"""Which voice speaks."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from services.runtime.failures.errors import refused
from services.runtime.failures.reasons import Reason
from services.runtime.languages import primary
from services.speech.ports.synthesis import Voice


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceOffer:
    """The kind of the default profile's first synthesizer, and its voices.

    `by_profile` has the offers of all profiles that a persona may choose.
    """

    synthesizer: str
    voices: Sequence[Voice]
    by_profile: Mapping[str, "VoiceOffer"] = field(default_factory=dict)


def any_language(voice_ids: Iterable[str]) -> tuple[Voice, ...]:
    """Return voices that are known by their ids alone; each speaks any language."""
    return tuple(
        Voice(voice_id=each, display_name=each.capitalize(), language_codes=())
        for each in voice_ids
    )


def speaks(voice: Voice, language_code: str) -> bool:
    """Whether a voice speaks a language; regions are ignored, no languages means any."""
    languages = {primary(each) for each in voice.language_codes}
    return not languages or primary(language_code) in languages


def voices_for(voices: Sequence[Voice], language_code: str) -> tuple[Voice, ...]:
    """Return the voices that speak a language; raises ServiceError if there is none."""
    found = tuple(voice for voice in voices if speaks(voice, language_code))
    if not found:
        raise refused(
            Reason.LANGUAGE_UNSUPPORTED,
            "language_code",
            "offered",
            f"no voice speaks {language_code}",
            language_code=language_code,
        )
    return found


def choose_voice(
    voices: Sequence[Voice], language_code: str, *, wanted: str = "", preferred: str = ""
) -> Voice:
    """Return the wanted voice, else the preferred one if available, else the first.

    Raises ServiceError if the wanted voice is unknown or no voice speaks the language.
    """
    if wanted and all(voice.voice_id != wanted for voice in voices):
        raise refused(
            Reason.VOICE_NOT_FOUND,
            "voice_id",
            "known",
            f"there is no voice {wanted}",
            voice_id=wanted,
        )
    offered = voices_for(voices, language_code)
    by_id = {voice.voice_id: voice for voice in offered}
    if wanted and wanted not in by_id:
        raise refused(
            Reason.LANGUAGE_UNSUPPORTED,
            "language_code",
            "offered",
            f"the voice {wanted} does not speak {language_code}",
            language_code=language_code,
            voice_id=wanted,
        )
    return by_id.get(wanted) or by_id.get(preferred) or offered[0]
