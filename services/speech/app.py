"""The composition of the speech service: from settings to a running server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from digitalhuman.avatar.v1.avatar_pb2_grpc import AvatarServiceStub
from digitalhuman.speech.v1 import speech_pb2, speech_pb2_grpc
from digitalhuman.task.v1.task_pb2_grpc import TaskServiceStub
from services.runtime.replicas import replicas
from services.runtime.serving import Serving, ServingOptions, serving
from services.speech.chinese_words import load_dictionary
from services.speech.conversation.abandoned import cutting_off
from services.speech.conversation.clients import noting_clients
from services.speech.conversation.ownership import kept_alive
from services.speech.conversation.registry import (
    DRAIN_S,
    TASK_CHECK_S,
    draining,
    open_conversations,
)
from services.speech.conversation.stream_factory import StreamFactory
from services.speech.conversation.task_records import START_S, TaskRecords
from services.speech.conversation.turn import Stages
from services.speech.dialogue.replies import Dialogue, system_message
from services.speech.embedded.detector import EarshotDetector
from services.speech.embedded.embedder import E5Embedder
from services.speech.embedded.evidence import weigh
from services.speech.embedded.library import ASSETS, LibrarySettings, open_store
from services.speech.embedded.turn_end import SmartTurnModel
from services.speech.listening.audio_input import Listening
from services.speech.listening.guard import GuardedRecognizer
from services.speech.listening.rules import ListeningRules
from services.speech.personas.catalogue import Personas
from services.speech.ports import ChatModel, Embedder, Recognizer, Synthesizer
from services.speech.providers.factory import open_chat, open_recognizer, open_synthesizer
from services.speech.servicer import SpeechServicer
from services.speech.settings import SpeechSettings

SERVICE = speech_pb2.DESCRIPTOR.services_by_name["SpeechService"].full_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Providers:
    """What serves the stages of a turn.

    Without a `chat` model only curated answers are given; without an `embedder` the model gets no
    facts.
    """

    recognizer: Recognizer
    chat: ChatModel | None
    synthesizer: Synthesizer
    embedder: Embedder | None
    listening: Listening


@asynccontextmanager
async def open_providers(
    settings: SpeechSettings, library: LibrarySettings, personas: Personas
) -> AsyncIterator[Providers]:
    """Open what the settings choose; raises ModelStoreError when a model is missing."""
    store = open_store(library)
    await asyncio.to_thread(load_dictionary)
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        recognizer = await enter(open_recognizer(settings, store))
        synthesizer = await enter(open_synthesizer(settings, store))
        prompts = [system_message(each) for each in personas.get("").languages]
        chat = await enter(open_chat(settings, store, library, read_ahead=prompts))
        turn_end = await enter(SmartTurnModel.load(ASSETS / "smart-turn-v3.2-cpu.onnx", threads=1))
        yield Providers(
            recognizer=GuardedRecognizer(recognizer, weigh=weigh),
            chat=chat,
            synthesizer=synthesizer,
            embedder=await enter(E5Embedder.load(threads=settings.threads, cache=library.cache)),
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
    address: str = "",
    drain_s: float = DRAIN_S,
    task_check_s: float = TASK_CHECK_S,
    task_start_s: float = START_S,
) -> AsyncIterator[Serving]:
    """Serve until the context is left; then hand all conversations to other replicas.

    These call this one at the `address`, by default the one that is listened at.
    """
    dialogue = await Dialogue.prepare(personas, chat=providers.chat, embedder=providers.embedder)
    stages = Stages(
        recognizer=providers.recognizer, dialogue=dialogue, synthesizer=providers.synthesizer
    )
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        tasks = await enter(replicas(task_target, TaskServiceStub))
        avatars = await enter(replicas(avatar_target, AvatarServiceStub))
        replica = await enter(kept_alive(tasks, service_token=options.service_token))
        records = TaskRecords(
            tasks,
            service_token=options.service_token,
            start_s=task_start_s,
        )
        conversations = await enter(
            open_conversations(
                stages=stages,
                records=records,
                replica=replica,
                cut_off=cutting_off(avatars, service_token=options.service_token),
                task_check_s=task_check_s,
            )
        )
        streams = StreamFactory(
            conversations=conversations,
            clients=await enter(noting_clients(records)),
            records=records,
            avatars=avatars,
            service_token=options.service_token,
            personas=personas,
            recognizer=providers.recognizer,
            synthesizer=providers.synthesizer,
            listening=providers.listening,
        )
        servicer = SpeechServicer(
            streams=streams,
            personas=personas,
            recognizer=providers.recognizer,
            synthesizer=providers.synthesizer,
            longest_utterance_s=providers.listening.rules.longest_s,
        )
        up = await enter(
            serving(
                options,
                [SERVICE],
                lambda server: speech_pb2_grpc.add_SpeechServiceServicer_to_server(
                    servicer, server
                ),
            )
        )
        replica.listen_at(address or up.address)
        await enter(draining(conversations, within_s=drain_s))
        yield up


def serving_options(settings: SpeechSettings) -> ServingOptions:
    """Return where and how the service listens."""
    token = settings.service_token
    return ServingOptions(
        host=settings.host,
        port=settings.port,
        service_token=token.get_secret_value() if token else None,
        has_reflection=settings.reflection,
        metrics_port=settings.metrics_port,
    )
