"""`python -m bench.two_languages`: which questions of one call are answered in their language.

Exits with 1 if one is not.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import grpc

from digitalhuman.avatar.v1 import avatar_pb2_grpc
from digitalhuman.speech.v1 import speech_pb2_grpc
from digitalhuman.task.v1 import task_pb2_grpc
from services.runtime.languages import primary
from services.runtime.serving.server import ServingOptions, serving
from services.speech.app import Providers, running
from services.speech.embedded.detector import EarshotDetector
from services.speech.embedded.evidence import weigh
from services.speech.embedded.library import (
    LibrarySettings,
    choose_language_model,
    default_models,
    open_store,
)
from services.speech.embedded.llama import LlamaChatModel
from services.speech.embedded.voices import VOICES as SPOKEN_BY
from services.speech.listening.audio_input import Listening
from services.speech.listening.guard import GuardedRecognizer
from services.speech.listening.rules import ListeningRules
from services.speech.personas.catalogue import load_personas
from services.speech.ports.chat import ChatModel
from services.speech.ports.synthesis import SpeechRequest
from services.speech.providers.embedded import only_file
from services.speech.providers.factory import Trio
from services.speech.settings import PERSONAS
from services.speech.streams import once
from services.speech.text.segmentation import is_cjk
from tests.support.converse import COMMIT, Talk, audio, setup
from tests.support.embedded import EmbeddedStack, embedded_stack
from tests.support.fake_avatars import FakeAvatars
from tests.support.fake_tasks import FakeTasks
from tests.support.resampling import resample
from tests.support.scripted_providers import ScriptedSynthesizer

OPTIONS = ServingOptions(host="127.0.0.1", port=0, drain_s=0.1)
SILENCE = bytes(16_000)
VOICES = {"en": "af_heart", "zh": "zf_xiaoxiao"}
QUESTIONS = (
    ("en", "When do you open in the morning?"),
    ("zh", "你们几点开门？"),
    ("zh", "请问洗手间在哪里？"),
    ("en", "Where are the toilets?"),
    ("zh", "门票多少钱？"),
    ("en", "How much is a ticket for a child?"),
    ("zh", "你叫什么名字？"),
    ("en", "Hello, how are you today?"),
    ("zh", "今天天气怎么样？"),
    ("en", "Is there a cafe in the building?"),
    ("en", "Can I bring my dog with me?"),
    ("zh", "我可以带小狗进来吗？"),
    ("zh", "谢谢你的帮助。"),
    ("en", "Thank you very much for your help."),
    ("zh", "WiFi 密码是多少？"),
    ("en", "Are you a real person?"),
    ("zh", "你是真人吗？"),
    ("en", "What is two plus three?"),
    ("zh", "三加五等于几？"),
    ("en", "Goodbye and see you tomorrow."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A spoken question: PCM16 at 16 kHz."""

    language: str
    text: str
    pcm: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A question, what was heard of it, and the reply with the languages of both."""

    question: Question
    heard: str
    turn_language: str
    reply: str

    @property
    def is_right(self) -> bool:
        """Whether the turn and its reply are in the language of the question."""
        is_chinese = sum(map(is_cjk, self.reply)) > len(self.reply) / 3
        return (
            primary(self.turn_language) == self.question.language == ("zh" if is_chinese else "en")
        )


@asynccontextmanager
async def real_speech(
    stack: EmbeddedStack, chat: ChatModel
) -> AsyncIterator[speech_pb2_grpc.SpeechServiceStub]:
    """The speech service on the real models, in front of doubles of what it calls."""
    avatars = FakeAvatars()  # type: ignore[abstract]  # the rest is never called
    tasks = FakeTasks()  # type: ignore[abstract]  # the rest is never called
    listening = Listening(make_detector=EarshotDetector, turn_end=None, rules=ListeningRules())
    async with (
        serving(
            OPTIONS,
            [],
            lambda server: avatar_pb2_grpc.add_AvatarServiceServicer_to_server(avatars, server),
            lambda server: task_pb2_grpc.add_TaskServiceServicer_to_server(tasks, server),
        ) as neighbours,
        running(
            OPTIONS,
            providers=Providers(
                default=Trio(
                    recognizer=GuardedRecognizer(stack.recognizer, weigh=weigh),
                    chat=chat,
                    synthesizer=stack.synthesizer,
                ),
                embedder=stack.embedder,
                listening=listening,
            ),
            personas=load_personas(PERSONAS, default_id="concierge"),
            task_target=neighbours.address,
            avatar_target=neighbours.address,
        ) as service,
        grpc.aio.insecure_channel(service.address) as channel,
    ):
        yield speech_pb2_grpc.SpeechServiceStub(channel)


async def held(
    stack: EmbeddedStack, chat: ChatModel, questions: Iterable[Question]
) -> AsyncIterator[Answered]:
    """Yield what becomes of questions that are asked one after the other in one call."""
    first = setup(language_code="auto")
    async with real_speech(stack, chat) as stub, Talk.on(stub, first) as talk:
        for question in questions:
            await talk.send(*audio(SILENCE + question.pcm + SILENCE))
            await talk.send(COMMIT)
            started = (await talk.until("turn_started")).turn_started
            finished = (await talk.until("turn_finished")).turn_finished
            yield Answered(
                question=question,
                heard=started.user_text,
                turn_language=started.language_code,
                reply=finished.reply_text,
            )


async def _spoken(stack: EmbeddedStack, language: str, text: str) -> Question:
    request = SpeechRequest(voice_id=VOICES[language], language_code=language)
    chunks = stack.synthesizer.speak(once(text), request)
    pcm = b"".join([chunk.pcm async for chunk in chunks])
    heard = resample(pcm, stack.synthesizer.sample_rate_hertz)
    return Question(language=language, text=text, pcm=heard)


async def main() -> bool:
    """Print what was heard and answered; return whether all of it was in the right language."""
    library = LibrarySettings()
    store = open_store(library)
    chosen = choose_language_model(library)
    assert chosen.model is not None, "PARLEY_LLM must not be none"
    store.ensure(default_models(chosen))
    async with (
        embedded_stack(store) as stack,
        LlamaChatModel.load(only_file(store, chosen.model), threads=2) as chat,
    ):
        right = 0
        questions = [await _spoken(stack, *each) for each in QUESTIONS]
        # Replies are read, not heard: their voice need not be real.
        quick = replace(stack, synthesizer=ScriptedSynthesizer(voices=SPOKEN_BY))
        async for each in held(quick, chat, questions):
            right += each.is_right
            mark = "right" if each.is_right else "WRONG"
            print(mark, each.question.language, each.turn_language, each.heard, "->", each.reply)
        print(f"{right} of {len(QUESTIONS)} in the right language")
        return right == len(QUESTIONS)


if __name__ == "__main__":
    sys.exit(not asyncio.run(main()))
