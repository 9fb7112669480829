"""Personas for the scripted providers."""

from services.speech.personas.catalogue import Fact, Persona, PersonaLanguage, Personas
from services.speech.personas.tool_format import ToolsTable


def scripted_personas(*, tutor_profile: str = "", tools: ToolsTable | None = None) -> Personas:
    """Two personas: a host in English and Chinese, perhaps with tools, and a tutor in English."""
    english = PersonaLanguage(
        language_code="en",
        voice_id="anna",
        prompt="You are a host.",
        greeting="Welcome.",
        tool_fillers=("One moment.", "Let me see."),
        sample_question="When do you open?",
        no_speech_prompt="Are you still there?",
        knowledge=(
            Fact(questions=("When do you open?",), answer="We open at nine."),
            Fact(questions=("1234567890",), answer="That is a number."),
        ),
    )
    chinese = PersonaLanguage(
        language_code="zh",
        voice_id="wei",
        prompt="你是主持人。",
        greeting="欢迎。",
        sample_question="几点开门？",
        knowledge=(),
    )
    host = Persona(
        persona_id="host",
        display_name="Host",
        description="Hosts.",
        languages=(english, chinese),
        tools=tools,
    )
    tutor = Persona(
        persona_id="tutor",
        display_name="Tutor",
        description="Teaches.",
        languages=(english,),
        profile=tutor_profile,
    )
    return Personas(by_id={"host": host, "tutor": tutor}, default_id="host")
