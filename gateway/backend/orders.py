"""Checks orders against the catalogue: what could never talk is refused before it is started."""

import re
from collections.abc import Sequence

import structlog

from digitalhuman.speech.v1 import speech_pb2
from digitalhuman.task.v1 import task_pb2
from gateway.backend.catalogue import Catalogue, DigitalHumans, Personas
from gateway.backend.services import Backend
from services.runtime.failures.errors import ServiceError, invalid, refused
from services.runtime.failures.reasons import Reason
from services.runtime.languages import AUTO, nearest
from services.runtime.serving.interceptors import checked

_VARIABLE = re.compile(r"\{\{\s*(.*?)\s*\}\}")
"""As in the texts of personas."""

log = structlog.get_logger(__name__)


class Orders:
    """Checks orders against the catalogue and places them."""

    def __init__(self, backend: Backend, catalogue: Catalogue) -> None:
        self._backend = backend
        self._catalogue = catalogue

    async def place(self, order: task_pb2.CreateTaskRequest) -> task_pb2.Task:
        """Return the task of an order; an order that is repeated is answered with the same task.

        Raises ServiceError.
        """
        checked(order)
        try:
            admitted = await self._admit(order)
        except ServiceError as refusal:
            if not order.request_id:
                raise
            return await self._made_before(order, refusal)
        return (await self._backend.ask(self._backend.task.CreateTask, admitted)).task

    async def find(self, order: task_pb2.CreateTaskRequest) -> task_pb2.Task:
        """Return the task that the same order has led to; raises ServiceError TASK_NOT_FOUND."""
        checked(order)
        find = task_pb2.FindCreatedTaskRequest(request=order)
        return (await self._backend.ask(self._backend.task.FindCreatedTask, find)).task

    async def _made_before(
        self, order: task_pb2.CreateTaskRequest, refusal: ServiceError
    ) -> task_pb2.Task:
        try:
            return await self.find(order)
        except ServiceError as error:
            if error.reason is Reason.REQUEST_ID_REUSED:
                raise
            raise refusal from None

    async def _admit(self, order: task_pb2.CreateTaskRequest) -> task_pb2.CreateTaskRequest:
        """Return an order with the persona's own digital human, if the account has it.

        Raises ServiceError for an unknown persona, language or digital human.
        """
        persona = _persona(await self._catalogue.personas(), order.persona_id)
        _require_language(persona, order.language_code)
        _require_facts(persona, order.facts)
        await self._require_voice(order.facts.voice_id)
        admitted = task_pb2.CreateTaskRequest()
        admitted.CopyFrom(order)
        if order.digital_human_id:
            await self._require_digital_human(order.digital_human_id)
        elif persona.digital_human_id:
            known = await self._digital_humans()
            if known.has(persona.digital_human_id):
                admitted.default_digital_human_id = persona.digital_human_id
        return admitted

    async def change(self, task_id: str, facts: task_pb2.CallFacts) -> task_pb2.Task:
        """Return a task of whose call other things are known now; raises ServiceError."""
        update = task_pb2.UpdateTaskRequest(task_id=task_id, facts=facts)
        checked(update)
        await self._require_voice(facts.voice_id)
        # The others need not fit the persona.
        if facts.HasField("variables") or facts.HasField("greeting") or facts.client_tools.tools:
            asked = task_pb2.GetTaskRequest(task_id=task_id, with_facts=True)
            known = await self._backend.ask(self._backend.task.GetTask, asked)
            personas = await self._catalogue.personas()
            persona = personas.find(known.task.persona_id or personas.default_id)
            if persona is not None:
                _require_facts(persona, facts, known=known.facts)
        return (await self._backend.ask(self._backend.task.UpdateTask, update)).task

    async def _require_voice(self, voice_id: str) -> None:
        """Raise ServiceError if a call names a voice that there is not."""
        if voice_id and all(each.voice_id != voice_id for each in await self._catalogue.voices()):
            raise refused(
                Reason.VOICE_NOT_FOUND,
                "facts.voice_id",
                "known",
                f"there is no voice {voice_id}",
                voice_id=voice_id,
            )

    async def _digital_humans(self) -> DigitalHumans:
        """Return the known digital humans; while the cloud cannot list them, it decides itself."""
        try:
            return await self._catalogue.digital_humans()
        except ServiceError as error:
            log.warning("digital humans not listed", reason=error.reason.value)
            return DigitalHumans(all=(), is_complete=False)

    async def _require_digital_human(self, digital_human_id: str) -> None:
        known = await self._digital_humans()
        # When the list is too long to be kept here, only the cloud knows the rest.
        if known.is_complete and not known.has(digital_human_id):
            raise refused(
                Reason.DIGITAL_HUMAN_NOT_FOUND,
                "digital_human_id",
                "known",
                f"there is no digital human {digital_human_id}",
                digital_human_id=digital_human_id,
            )


def _persona(personas: Personas, persona_id: str) -> speech_pb2.Persona:
    wanted = persona_id or personas.default_id
    persona = personas.find(wanted)
    if persona is None:
        raise refused(
            Reason.PERSONA_NOT_FOUND,
            "persona_id",
            "known",
            f"there is no persona {wanted}, only {_listed([p.persona_id for p in personas.all])}",
            persona_id=wanted,
        )
    return persona


def _require_language(persona: speech_pb2.Persona, language_code: str) -> None:
    offered = persona.language_codes
    if language_code not in ("", AUTO) and nearest(language_code, offered) is None:
        raise refused(
            Reason.LANGUAGE_UNSUPPORTED,
            "language_code",
            "offered",
            f"{persona.persona_id} does not speak {language_code}, only {_listed(offered)}",
            language_code=language_code,
        )


def _require_facts(
    persona: speech_pb2.Persona,
    facts: task_pb2.CallFacts,
    *,
    known: task_pb2.CallFacts | None = None,
) -> None:
    """Refuse facts that do not fit the persona, or what is known of the call beside them."""
    known = known or task_pb2.CallFacts()
    variables = (facts if facts.HasField("variables") else known).variables.values
    greeting = (facts if facts.HasField("greeting") else known).greeting
    greeted = _VARIABLE.findall(greeting)
    for name in greeted if facts.HasField("greeting") else ():
        if name not in {*variables, *persona.variable_names}:
            raise invalid(
                "facts.greeting",
                "known",
                f"uses {{{{{name[:32]}}}}}, of which neither the call nor the persona has a value",
            )
    for name in facts.variables.values:
        if name not in {*greeted, *persona.variable_names}:
            raise invalid(
                "facts.variables.values",
                "known",
                f"{persona.persona_id} has no variable {name}, only"
                f" {_listed(persona.variable_names) or 'none'}",
            )
    for tool in facts.client_tools.tools:
        if tool.name in persona.tool_names:
            raise invalid(
                "facts.client_tools.tools.name",
                "unique",
                f"{persona.persona_id} has a tool {tool.name} of its own",
            )


def _listed(items: Sequence[str]) -> str:
    return ", ".join(items)
