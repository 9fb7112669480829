"""Personas and voices as callers see them."""

from collections.abc import Iterable

from digitalhuman.speech.v1 import speech_pb2
from services.speech.personas.catalogue import Persona
from services.speech.personas.variables import filled
from services.speech.ports.synthesis import Voice


def to_persona(persona: Persona, tool_names: Iterable[str] = ()) -> speech_pb2.Persona:
    """Return a persona as callers see it: without its prompt and knowledge."""
    languages = persona.languages
    return speech_pb2.Persona(
        persona_id=persona.persona_id,
        display_name=persona.display_name,
        description=persona.description,
        language_codes=[each.language_code for each in languages],
        greetings={
            each.language_code: filled(each.greeting, persona.variables) for each in languages
        },
        sample_questions={
            each.language_code: filled(each.sample_question, persona.variables)
            for each in languages
        },
        display_names={
            each.language_code: each.display_name or persona.display_name for each in languages
        },
        descriptions={
            each.language_code: each.description or persona.description for each in languages
        },
        digital_human_id=persona.digital_human_id,
        variable_names=persona.variables,
        tool_names=tool_names,
    )


def to_voice(voice: Voice) -> speech_pb2.Voice:
    """Return a voice."""
    return speech_pb2.Voice(
        voice_id=voice.voice_id,
        display_name=voice.display_name,
        language_codes=list(voice.language_codes),
    )
