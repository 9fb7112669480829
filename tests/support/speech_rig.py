"""A real speech service on scripted providers, between doubles of what it calls."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import grpc

from digitalhuman.avatar.v1 import avatar_pb2_grpc
from digitalhuman.speech.v1 import speech_pb2_grpc
from digitalhuman.task.v1 import task_pb2_grpc
from services.runtime.callers.tenants import NO_QUOTAS, Tenants
from services.runtime.serving.server import Serving, ServingOptions, serving
from services.speech.app import Providers, running
from services.speech.listening.audio_input import Listening
from services.speech.listening.rules import ListeningRules
from services.speech.personas.tool_format import ToolsTable
from services.speech.ports.chat import ChatModel
from services.speech.ports.recognition import Recognizer
from services.speech.ports.synthesis import Synthesizer
from services.speech.provider_settings import Price
from services.speech.providers.counting import (
    CountedChatModel,
    CountedRecognizer,
    CountedSynthesizer,
)
from services.speech.providers.factory import Trio
from services.speech.vendors.openai_chat import OpenAiChatModel
from services.speech.vendors.openai_speech import OpenAiSynthesizer
from services.speech.vendors.openai_transcription import OpenAiRecognizer
from tests.support.fake_avatars import FakeAvatars
from tests.support.fake_tasks import TASK_ID, FakeTasks
from tests.support.loudness import LoudnessDetector
from tests.support.scripted_personas import scripted_personas
from tests.support.scripted_providers import (
    LetterEmbedder,
    ScriptedChat,
    ScriptedRecognizer,
    ScriptedSynthesizer,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechRig:
    """A speech service on scripted providers between two doubles."""

    stub: speech_pb2_grpc.SpeechServiceStub
    address: str
    neighbours_address: str
    avatars: FakeAvatars
    tasks: FakeTasks
    recognizer: ScriptedRecognizer
    chat: ScriptedChat
    synthesizer: ScriptedSynthesizer


@dataclass(slots=True, kw_only=True)
class Script:
    """What the providers of a rig do."""

    recognizer: ScriptedRecognizer = field(default_factory=ScriptedRecognizer)
    chat: ScriptedChat = field(default_factory=ScriptedChat)
    synthesizer: ScriptedSynthesizer = field(default_factory=ScriptedSynthesizer)
    provider: OpenAiRecognizer | OpenAiChatModel | OpenAiSynthesizer | None = None
    """Takes the place of the scripted one of its stage."""
    chat_price: Price | None = None
    tutor: Trio | None = None
    """Serves the tutor, by a profile of its own."""
    model: ChatModel | None = None
    """Takes the place of the scripted language model."""
    tools: ToolsTable | None = None
    rules: ListeningRules = field(default_factory=ListeningRules)
    task_check_s: float = 10.0
    task_start_s: float = 60.0
    drain_s: float = 0.0
    service_token: str | None = None
    tenants: Tenants = NO_QUOTAS


@asynccontextmanager
async def speech_rig(script: Script | None = None) -> AsyncIterator[SpeechRig]:
    """A real speech service, with real servers for what it calls."""
    script = script or Script()
    avatars = FakeAvatars()  # type: ignore[abstract]  # the rest is never called
    tasks = FakeTasks()  # type: ignore[abstract]  # the rest is never called
    async with AsyncExitStack() as stack:
        neighbours = await stack.enter_async_context(
            serving(
                _options(),
                [],
                lambda server: avatar_pb2_grpc.add_AvatarServiceServicer_to_server(avatars, server),
                lambda server: task_pb2_grpc.add_TaskServiceServicer_to_server(tasks, server),
            )
        )
        service = await stack.enter_async_context(speech_service(script, neighbours.address))
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(service.address))
        yield SpeechRig(
            stub=speech_pb2_grpc.SpeechServiceStub(channel),
            address=service.address,
            neighbours_address=neighbours.address,
            avatars=avatars,
            tasks=tasks,
            recognizer=script.recognizer,
            chat=script.chat,
            synthesizer=script.synthesizer,
        )


@asynccontextmanager
async def speech_service(
    script: Script, neighbours_address: str, *, task_address: str = ""
) -> AsyncIterator[Serving]:
    """A real speech service between the doubles at an address, or with another task service."""
    recognizer: Recognizer = script.recognizer
    chat: ChatModel = script.model or script.chat
    synthesizer: Synthesizer = script.synthesizer
    match script.provider:
        case OpenAiRecognizer() as recognizer:
            pass
        case OpenAiChatModel() as chat:
            pass
        case OpenAiSynthesizer() as synthesizer:
            pass
    async with running(
        _options(script.service_token),
        providers=Providers(
            default=Trio(
                recognizer=CountedRecognizer(recognizer, None),
                chat=CountedChatModel(chat, script.chat_price),
                synthesizer=CountedSynthesizer(synthesizer, None),
            ),
            by_profile={} if script.tutor is None else {"school": script.tutor},
            embedder=LetterEmbedder(),
            listening=Listening(make_detector=LoudnessDetector, turn_end=None, rules=script.rules),
        ),
        personas=scripted_personas(
            tutor_profile="" if script.tutor is None else "school", tools=script.tools
        ),
        task_target=task_address or neighbours_address,
        avatar_target=neighbours_address,
        tenants=script.tenants,
        drain_s=script.drain_s,
        task_check_s=script.task_check_s,
        task_start_s=script.task_start_s,
    ) as service:
        yield service


ENDS_WITHIN_S = 20.0
"""How long the end of a call may take to be read."""


@asynccontextmanager
async def replica_beside(rig: SpeechRig, script: Script | None = None) -> AsyncIterator[SpeechRig]:
    """Another replica of a rig's speech service, with providers of its own."""
    script = script or Script()
    # Its client stays until the service has come to its end.
    async with AsyncExitStack() as client, speech_service(script, rig.neighbours_address) as up:
        channel = grpc.aio.insecure_channel(up.address)
        # Or a call whose end has not been read yet would seem to be cancelled by its caller.
        client.push_async_callback(channel.close, grace=ENDS_WITHIN_S)
        yield SpeechRig(
            stub=speech_pb2_grpc.SpeechServiceStub(channel),
            address=up.address,
            neighbours_address=rig.neighbours_address,
            avatars=rig.avatars,
            tasks=rig.tasks,
            recognizer=script.recognizer,
            chat=script.chat,
            synthesizer=script.synthesizer,
        )


async def until_free(rig: SpeechRig) -> None:
    """Wait until nobody holds the conversation of the rig's task."""
    async with asyncio.timeout(20):
        while rig.tasks.owners.owner_of(TASK_ID):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def _options(service_token: str | None = None) -> ServingOptions:
    tokens = (service_token,) if service_token else ()
    return ServingOptions(host="127.0.0.1", port=0, service_tokens=tokens, drain_s=0.1)
