"""`python -m tests.examples.speech`: the speech service with the examples' personas.

Recognition and voice are scripted; its language model calls the first tool that it is offered, and
says what came of it.
"""

from collections.abc import Sequence

from services.runtime.process import run, until_stopped
from services.runtime.settings.environment import load
from services.runtime.telemetry.logs import configure_logs
from services.speech.app import Providers, running
from services.speech.listening.audio_input import Listening
from services.speech.listening.rules import ListeningRules
from services.speech.personas.catalogue import load_personas
from services.speech.ports.chat import ChatItem, ChatRequest
from services.speech.providers.factory import Trio
from services.speech.settings import SpeechSettings
from tests.support.loudness import LoudnessDetector
from tests.support.scripted_providers import LetterEmbedder, ScriptedRecognizer, ScriptedSynthesizer
from tests.support.tool_chat import ToolChat, called, results

SPOKEN_QUESTION = "When do you open?"
ORDER = '{"number": "4729"}'


def write(request: ChatRequest) -> Sequence[ChatItem]:
    """Return what the model says, or calls."""
    told = results(request.messages)
    if told:
        return [f"I looked it up: {told[-1]}"]
    if request.tools:
        return [called(request.tools[0].name, ORDER)]
    return ["We sell bread, and we bake it ourselves."]


async def main() -> None:
    """Serve until a signal comes."""
    settings = load(SpeechSettings)
    configure_logs("speech")
    listening = Listening(
        make_detector=LoudnessDetector, turn_end=None, rules=ListeningRules(no_speech_s=0.0)
    )
    trio = Trio(
        recognizer=ScriptedRecognizer(hypotheses=(SPOKEN_QUESTION,)),
        chat=ToolChat(script=write),
        synthesizer=ScriptedSynthesizer(),
    )
    async with running(
        settings.serving_options,
        providers=Providers(default=trio, embedder=LetterEmbedder(), listening=listening),
        personas=load_personas(settings.personas_folder, default_id=settings.default_persona),
        task_target=settings.task_target,
        avatar_target=settings.avatar_target,
        drain_s=settings.drain_s,
    ):
        await until_stopped()


if __name__ == "__main__":
    run("speech", main)
