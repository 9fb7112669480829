"""The composition of the speech service: from settings to a server that is up."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from digitalhuman.avatar.v1.avatar_pb2_grpc import AvatarServiceStub
from digitalhuman.speech.v1 import speech_pb2, speech_pb2_grpc
from digitalhuman.task.v1.task_pb2_grpc import TaskServiceStub
from services.runtime.channel import connected
from services.runtime.serving import Serving, ServingOptions, serving
from services.speech.conversations import open_conversations
from services.speech.dialogue import Dialogue, system_message
from services.speech.embedded.detector import EarshotDetector
from services.speech.embedded.embedder import E5Embedder
from services.speech.embedded.library import (
    ASSETS,
    RECOGNITION_MODEL,
    SYNTHESIS_MODEL,
    LibrarySettings,
    choose_language_model,
    open_store,
)
from services.speech.embedded.llama import LlamaChatModel
from services.speech.embedded.store import ModelStore
from services.speech.embedded.synthesizer import KokoroSynthesizer
from services.speech.embedded.turn_end import SmartTurnModel
from services.speech.embedded.whisper import WhisperRecognizer
from services.speech.listening import ListeningRules
from services.speech.personas import Personas
from services.speech.ports import ChatModel, Embedder, Recognizer, Synthesizer
from services.speech.providers.openai_chat import OpenAiChatModel
from services.speech.providers.openai_http import Endpoint
from services.speech.providers.openai_speech import OpenAiSynthesizer
from services.speech.providers.openai_transcription import OpenAiRecognizer
from services.speech.record import TaskRecords
from services.speech.servicer import Listening, SpeechServicer
from services.speech.settings import Provider, SpeechSettings
from services.speech.streams import Deadlines
from services.speech.turn import Stages

SERVICE = speech_pb2.DESCRIPTOR.services_by_name["SpeechService"].full_name

RECOGNITION = Deadlines(first_s=20, next_s=20, total_s=20)
CHAT = Deadlines(first_s=15, next_s=10, total_s=60)
SYNTHESIS = Deadlines(first_s=15, next_s=10, total_s=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Providers:
    """What does the work; without a `chat` model only curated answers are given."""

    recognizer: Recognizer
    chat: ChatModel | None
    synthesizer: Synthesizer
    embedder: Embedder
    listening: Listening


@asynccontextmanager
async def open_providers(
    settings: SpeechSettings, library: LibrarySettings, personas: Personas
) -> AsyncIterator[Providers]:
    """Load the models that the settings ask for; raises ModelStoreError when one is missing.

    The embedded language model reads the default persona's prompts ahead, so that its first reply
    comes as soon as any other.
    """
    store = open_store(library)
    threads = settings.threads
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        recognizer: Recognizer
        chat: ChatModel | None
        synthesizer: Synthesizer
        match settings.recognizer:
            case Provider.EMBEDDED:
                folder = store.folder(RECOGNITION_MODEL)
                recognizer = await enter(WhisperRecognizer.load(folder, threads=threads))
            case Provider.OPENAI:
                endpoint = _endpoint(settings, "recognizer", RECOGNITION)
                recognizer = await enter(OpenAiRecognizer.open(endpoint))
        match settings.synthesizer:
            case Provider.EMBEDDED:
                path = _only_file(store, SYNTHESIS_MODEL)
                synthesizer = await enter(
                    KokoroSynthesizer.load(path, voices=ASSETS / "voices", threads=threads)
                )
            case Provider.OPENAI:
                endpoint = _endpoint(settings, "synthesizer", SYNTHESIS)
                voice_ids = [each.strip() for each in settings.synthesizer_voices.split(",")]
                synthesizer = await enter(OpenAiSynthesizer.open(endpoint, voice_ids=voice_ids))
        match settings.chat:
            case Provider.EMBEDDED:
                chat = None
                if (name := choose_language_model(library).model) is not None:
                    path = _only_file(store, name)
                    llama = await enter(LlamaChatModel.load(path, threads=threads))
                    for language in personas.get("").languages:
                        await llama.prime([system_message(language)])
                    chat = llama
            case Provider.OPENAI:
                chat = await enter(OpenAiChatModel.open(_endpoint(settings, "chat", CHAT)))
        turn_end = await enter(SmartTurnModel.load(ASSETS / "smart-turn-v3.2-cpu.onnx", threads=1))
        yield Providers(
            recognizer=recognizer,
            chat=chat,
            synthesizer=synthesizer,
            embedder=await enter(E5Embedder.load(threads=threads)),
            listening=Listening(
                make_detector=EarshotDetector, turn_end=turn_end, rules=ListeningRules()
            ),
        )


@asynccontextmanager
async def running(
    options: ServingOptions,
    *,
    providers: Providers,
    personas: Personas,
    task_target: str,
    avatar_target: str,
) -> AsyncIterator[Serving]:
    """Serve until the end of the context; then cut off all conversations and record them."""
    dialogue = await Dialogue.prepare(personas, chat=providers.chat, embedder=providers.embedder)
    stages = Stages(
        recognizer=providers.recognizer, dialogue=dialogue, synthesizer=providers.synthesizer
    )
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        task_channel = await enter(connected(task_target))
        avatar_channel = await enter(connected(avatar_target))
        records = TaskRecords(TaskServiceStub(task_channel), service_token=options.service_token)
        servicer = SpeechServicer(
            conversations=await enter(open_conversations(stages=stages, records=records)),
            records=records,
            avatars=AvatarServiceStub(avatar_channel),
            service_token=options.service_token,
            personas=personas,
            recognizer=providers.recognizer,
            synthesizer=providers.synthesizer,
            listening=providers.listening,
        )
        yield await enter(
            serving(
                options,
                [SERVICE],
                lambda server: speech_pb2_grpc.add_SpeechServiceServicer_to_server(
                    servicer, server
                ),
            )
        )


def serving_options(settings: SpeechSettings) -> ServingOptions:
    """Return how the service listens."""
    token = settings.service_token
    return ServingOptions(
        host=settings.host,
        port=settings.port,
        service_token=token.get_secret_value() if token else None,
        has_reflection=settings.reflection,
        metrics_port=settings.metrics_port,
    )


def _endpoint(settings: SpeechSettings, stage: str, deadlines: Deadlines) -> Endpoint:
    return Endpoint(
        name="openai",
        base_url=getattr(settings, f"{stage}_base_url"),
        api_key=settings.key_of(stage),
        model=getattr(settings, f"{stage}_model"),
        deadlines=deadlines,
    )


def _only_file(store: ModelStore, name: str) -> Path:
    [file] = store.manifest[name].files
    return store.folder(name) / file.name
