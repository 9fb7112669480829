"""The choices: personas, digital humans and voices."""

from collections.abc import Callable
from dataclasses import dataclass

from digitalhuman.avatar.v1 import avatar_pb2
from digitalhuman.speech.v1 import speech_pb2
from gateway.backend.cached import Cached
from gateway.backend.services import Backend
from services.runtime.failures.errors import ServiceError
from services.runtime.languages import nearest

MAX_PAGES = 10
NAMELESS = "Digital human"


@dataclass(frozen=True, slots=True, kw_only=True)
class Personas:
    """All personas, and the one of conversations that name none."""

    all: tuple[speech_pb2.Persona, ...]
    default_id: str

    def sample_question(self, persona_id: str, language: str) -> str | None:
        """Return a question that a persona answers well, in the given language or the nearest."""
        persona = self.find(persona_id or self.default_id)
        if persona is None:
            return None
        questions = persona.sample_questions
        for code in (nearest(language, tuple(questions)) or "", *persona.language_codes):
            if code in questions:
                return questions[code]
        return None

    def find(self, persona_id: str) -> speech_pb2.Persona | None:
        """Return a persona; None when it is unknown."""
        return next((each for each in self.all if each.persona_id == persona_id), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class DigitalHumans:
    """The digital humans that can be shown; not `is_complete` when there are too many to keep."""

    all: tuple[avatar_pb2.DigitalHuman, ...]
    is_complete: bool

    def has(self, digital_human_id: str) -> bool:
        """Whether a digital human is among them."""
        return any(each.digital_human_id == digital_human_id for each in self.all)


class Catalogue:
    """Asks the services; what comes from the cloud is cached, so that many pages cost few calls."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._digital_humans = Cached(self._ask_digital_humans)
        self._voices = Cached(self._ask_voices)

    async def personas(self) -> Personas:
        """Return the personas as they are now."""
        found: list[speech_pb2.Persona] = []
        default_id, token = "", ""
        for _ in range(MAX_PAGES):
            page = await self._backend.ask(
                self._backend.speech.ListPersonas, speech_pb2.ListPersonasRequest(page_token=token)
            )
            found += page.personas
            default_id, token = page.default_persona_id, page.next_page_token
            if not token:
                break
        return Personas(all=tuple(found), default_id=default_id)

    async def name_in(self, persona_id: str) -> Callable[[str], str]:
        """Return a function from a language to a persona's name, even if it was removed since."""
        try:
            personas = await self.personas()
        except ServiceError:
            return lambda language: NAMELESS
        persona = personas.find(persona_id or personas.default_id)
        if persona is None:
            return lambda language: NAMELESS
        names = persona.display_names
        return lambda language: names.get(
            nearest(language, tuple(names)) or "", persona.display_name
        )

    async def digital_humans(self) -> DigitalHumans:
        """Return the digital humans that can be shown, up to half a minute old.

        While the cloud does not list them, they are up to ten minutes old. Raises ServiceError.
        """
        return await self._digital_humans.get()

    async def voices(self) -> tuple[speech_pb2.Voice, ...]:
        """Return the voices."""
        return await self._voices.get()

    async def _ask_voices(self) -> tuple[speech_pb2.Voice, ...]:
        found: list[speech_pb2.Voice] = []
        token = ""
        for _ in range(MAX_PAGES):
            page = await self._backend.ask(
                self._backend.speech.ListVoices, speech_pb2.ListVoicesRequest(page_token=token)
            )
            found += page.voices
            token = page.next_page_token
            if not token:
                break
        return tuple(found)

    async def _ask_digital_humans(self) -> DigitalHumans:
        found: list[avatar_pb2.DigitalHuman] = []
        token = ""
        for _ in range(MAX_PAGES):
            page = await self._backend.ask(
                self._backend.avatar.ListDigitalHumans,
                avatar_pb2.ListDigitalHumansRequest(page_token=token),
            )
            found += page.digital_humans
            token = page.next_page_token
            if not token:
                break
        return DigitalHumans(all=tuple(found), is_complete=not token)
