"""The personas: who a digital human is, what it says first, and what it knows."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from services.runtime.failures.errors import ServiceError, refused
from services.runtime.failures.reasons import Reason
from services.runtime.languages import nearest, primary
from services.speech.personas.format import (
    FactTable,
    Grounding,
    LanguageTable,
    PersonaError,
    PersonaTable,
    read_persona_file,
)
from services.speech.personas.tool_format import ToolsTable
from services.speech.provider_settings import EMBEDDED
from services.speech.voices import VoiceOffer, choose_voice

_NO_SPEECH_PROMPTS = {
    "en": "Are you still there? Take your time.",
    "zh": "您还在吗？不着急，慢慢来。",
}
_HANG_UP_WARNINGS = {
    "en": "I have not heard anything for a while and will hang up in a moment. Just say something.",
    "zh": "好一会儿没有听到您说话，我马上要挂断了。如果您还在，请说句话。",
}
_UNKNOWNS = {
    "en": "I do not know that, and I would rather not guess. Can I help you with anything else?",
    "zh": "这个我不知道，也不想乱猜。还有什么我可以帮您的吗？",
}
_TOOL_FILLERS = {
    "en": ("One moment, please.", "Let me check that.", "Just a second."),
    "zh": ("请稍等。", "我查一下。", "马上就好。"),
}
_IDENTITIES = {
    "en": "I am a digital human: software with a voice and a face.",
    "zh": "我是数字人，是有声音和形象的软件。",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One thing that a persona knows: ways to ask for it, and the answer."""

    questions: tuple[str, ...]
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonaLanguage:
    """A persona in one language."""

    language_code: str
    voice_id: str
    """Empty means the synthesizer's first voice for the language."""
    prompt: str
    greeting: str
    sample_question: str
    knowledge: tuple[Fact, ...]
    no_speech_prompt: str = ""
    """What a user who has been silent for long is asked."""
    hang_up_warning: str = ""
    """What a silent user hears before the call ends."""
    other_language_reply: str = ""
    """The reply to a user of another language; empty means the service's own words."""
    unknown: str = ""
    """What is said instead of an unsupported answer: that it is not known, and where to ask."""
    identity: str = ""
    """The reply to a user who asks whether they are talking to a human, unless a fact gives it."""
    speed: float = 1.0
    style: str = ""
    emotion: str = ""
    hot_words: tuple[str, ...] = ()
    """Names and terms to expect in what the user says."""
    tool_fillers: tuple[str, ...] = ()
    """What is said while a tool takes long."""
    display_name: str = ""
    """Empty means the persona's own; likewise the description."""
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Persona:
    """Who a digital human is; its preferred language comes first."""

    persona_id: str
    display_name: str
    description: str
    languages: tuple[PersonaLanguage, ...]
    listening: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """Thresholds, named as in `ListeningRules`; the others are the service's."""
    digital_human_id: str = ""
    """The digital human shown if the caller names none and the account has this one."""
    grounding: Grounding = Grounding.OFF
    profile: str = ""
    """The profile of providers that serves it; empty means the default one."""
    tools: ToolsTable | None = None
    variables: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """The variables that its texts use, with the values that hold where a call has none."""
    is_greeting_interruptible: bool = True

    def speaking(self, language_code: str) -> PersonaLanguage:
        """Return the persona in a language; empty means the preferred one.

        An unknown region is ignored. Raises ServiceError for another language.
        """
        if not language_code:
            return self.languages[0]
        offered = [language.language_code for language in self.languages]
        found = nearest(language_code, offered)
        if found is not None:
            return self.languages[offered.index(found)]
        raise refused(
            Reason.LANGUAGE_UNSUPPORTED,
            "language_code",
            "offered",
            f"{self.persona_id} does not speak {language_code}, only {', '.join(offered)}",
            language_code=language_code,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Personas:
    """All personas of a deployment."""

    by_id: Mapping[str, Persona]
    default_id: str
    left_out: tuple[PersonaError, ...] = ()
    """The faults of each invalid file; these personas are left out."""

    def get(self, persona_id: str) -> Persona:
        """Return a persona; an empty id means the default. Raises ServiceError."""
        wanted = persona_id or self.default_id
        found = self.by_id.get(wanted)
        if found is None:
            raise refused(
                Reason.PERSONA_NOT_FOUND,
                "persona_id",
                "known",
                f"there is no persona {wanted}, only {', '.join(self.by_id)}",
                persona_id=wanted,
            )
        return found


def load_personas(folder: Path, *, default_id: str, offer: VoiceOffer | None = None) -> Personas:
    """Read every `*.toml` file in a folder; the file name is the id.

    An invalid file is left out, unless it is the default persona's: then, or if that is missing,
    PersonaError is raised. Without an offer voices are not checked.
    """
    paths = sorted(folder.glob("*.toml"))
    if not paths:
        raise PersonaError(f"{folder}: there is no persona file (*.toml)")
    by_id: dict[str, Persona] = {}
    invalid: dict[str, PersonaError] = {}
    for path in paths:
        try:
            by_id[path.stem] = load_persona(path, offer=offer)
        except PersonaError as error:
            invalid[path.stem] = error
    if default_id in invalid:
        raise invalid[default_id]
    if default_id not in by_id:
        raise PersonaError(f"{folder}: the default persona {default_id}.toml is missing")
    return Personas(
        by_id=MappingProxyType(by_id), default_id=default_id, left_out=tuple(invalid.values())
    )


def load_persona(path: Path, *, offer: VoiceOffer | None = None) -> Persona:
    """Read a file; raises PersonaError with all of its faults."""
    table = read_persona_file(path)
    if offer is not None and table.profile is not None:
        if table.profile not in offer.by_profile:
            known = ", ".join(offer.by_profile)
            raise PersonaError(f"{path}: profile: must be one of {known}")
        offer = offer.by_profile[table.profile]
    if offer is not None and (faults := _voice_faults(table, offer)):
        raise PersonaError(*(f"{path}: {fault}" for fault in faults))
    synthesizer = offer.synthesizer if offer else EMBEDDED
    return Persona(
        persona_id=path.stem,
        display_name=table.display_name,
        description=table.description,
        languages=tuple(
            _language(code, each, synthesizer) for code, each in table.languages.items()
        ),
        listening=table.thresholds,
        digital_human_id=table.digital_human or "",
        grounding=table.grounding,
        profile=table.profile or "",
        tools=table.tools,
        variables=MappingProxyType(table.variables),
        is_greeting_interruptible=table.greeting_interruptible,
    )


def _voice_faults(table: PersonaTable, offer: VoiceOffer) -> list[str]:
    faults = []
    for code, language in table.languages.items():
        try:
            choose_voice(offer.voices, code, wanted=language.voice.get(offer.synthesizer, ""))
        except ServiceError as error:
            offered = ", ".join(voice.voice_id for voice in offer.voices)
            fault = error.message.partition(": ")[2]
            faults.append(f"languages.{code}.voice: {fault}; the synthesizer offers {offered}")
    return faults


def _language(code: str, table: LanguageTable, synthesizer: str) -> PersonaLanguage:
    return PersonaLanguage(
        language_code=code,
        voice_id=table.voice.get(synthesizer, ""),
        prompt=table.prompt,
        greeting=table.greeting,
        sample_question=table.sample_question,
        knowledge=tuple(_fact(each) for each in table.knowledge),
        speed=table.delivery.speed,
        style=table.delivery.style.get(synthesizer, ""),
        emotion=table.delivery.emotion.get(synthesizer, ""),
        hot_words=tuple(table.hot_words),
        no_speech_prompt=table.no_speech_prompt or _default_text(_NO_SPEECH_PROMPTS, code),
        other_language_reply=table.other_language_reply or "",
        hang_up_warning=table.hang_up_warning or _default_text(_HANG_UP_WARNINGS, code),
        unknown=table.unknown or _default_text(_UNKNOWNS, code),
        identity=_default_text(_IDENTITIES, code),
        tool_fillers=tuple(table.tool_fillers) or _default_fillers(code),
        display_name=table.display_name or "",
        description=table.description or "",
    )


def _default_text(texts: Mapping[str, str], code: str) -> str:
    return texts.get(primary(code), texts["en"])


def _default_fillers(code: str) -> tuple[str, ...]:
    return _TOOL_FILLERS.get(primary(code), _TOOL_FILLERS["en"])


def _fact(table: FactTable) -> Fact:
    return Fact(questions=tuple(table.questions), answer=table.answer)
