"""The composition of the speech service: from settings to a running server."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace

from digitalhuman.avatar.v1.avatar_pb2_grpc import AvatarServiceStub
from digitalhuman.speech.v1 import speech_pb2, speech_pb2_grpc
from digitalhuman.task.v1.task_pb2_grpc import TaskServiceStub
from services.runtime.callers.tenants import NO_QUOTAS, Tenants
from services.runtime.channels.replicas import replicas
from services.runtime.security.identities import Identity
from services.runtime.security.tls import peer_tls
from services.runtime.serving.server import Serving, ServingOptions, serving
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
from services.speech.conversation.talk_rate import TalkRate
from services.speech.conversation.task_records import START_S, TaskRecords
from services.speech.conversation.turn import Stages, StagesOf
from services.speech.dialogue.call import NOTHING_KNOWN, in_call
from services.speech.dialogue.ports import Embedder
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
from services.speech.profiles.profile import Profiles
from services.speech.providers.factory import Trio, open_profiles
from services.speech.providers.failover.breaker import OutageRules
from services.speech.servicer import SpeechServicer
from services.speech.settings import SpeechSettings
from services.speech.tools.tool import Toolset
from services.speech.tools.toolbox import open_toolsets

SERVICE = speech_pb2.DESCRIPTOR.services_by_name["SpeechService"].full_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Providers:
    """What serves the stages of a turn: by default, and in the profiles that personas choose.

    Without an `embedder` the models get no facts.
    """

    default: Trio
    by_profile: Mapping[str, Trio] = field(default_factory=dict)
    embedder: Embedder | None
    listening: Listening


@asynccontextmanager
async def open_providers(
    settings: SpeechSettings, profiles: Profiles, library: LibrarySettings, personas: Personas
) -> AsyncIterator[Providers]:
    """Open what the personas need of the profiles.

    Raises ModelStoreError when a model is missing, SettingsError for choices that do not fit.
    """
    store = open_store(library)
    await asyncio.to_thread(load_dictionary)
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        persona = personas.get("")
        chosen = {each.profile for each in personas.by_id.values()} - {""}
        opened = await enter(
            open_profiles(
                profiles.only(chosen),
                store,
                library,
                threads=settings.threads,
                outage=OutageRules(tries=settings.outage_tries),
                read_ahead=[
                    system_message(in_call(persona, each, NOTHING_KNOWN))
                    for each in persona.languages
                ],
            )
        )
        by_profile = {
            name: replace(trio, recognizer=GuardedRecognizer(trio.recognizer, weigh=weigh))
            for name, trio in opened.items()
        }
        turn_end = await enter(SmartTurnModel.load(ASSETS / "smart-turn-v3.2-cpu.onnx", threads=1))
        yield Providers(
            default=by_profile[profiles.default_name],
            by_profile=by_profile,
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
    tenants: Tenants = NO_QUOTAS,
    address: str = "",
    drain_s: float = DRAIN_S,
    task_check_s: float = TASK_CHECK_S,
    task_start_s: float = START_S,
) -> AsyncIterator[Serving]:
    """Serve until the context is left; then hand all conversations to other replicas.

    These call this one at the `address`, by default the one that is listened at.
    """
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        toolsets = await enter(open_toolsets(personas))
        stages = await _prepare_stages(providers, personas, toolsets)
        to_task, to_avatar = (
            peer_tls(options.tls, each) for each in (Identity.TASK, Identity.AVATAR)
        )
        tasks = await enter(replicas(task_target, TaskServiceStub, tls=to_task))
        avatars = await enter(replicas(avatar_target, AvatarServiceStub, tls=to_avatar))
        replica = await enter(kept_alive(tasks, service_token=options.service_token))
        records = TaskRecords(
            tasks,
            service_token=options.service_token,
            start_s=task_start_s,
        )
        talk_rate = TalkRate(tenants)
        conversations = await enter(
            open_conversations(
                stages=stages,
                records=records,
                replica=replica,
                cut_off=cutting_off(avatars, service_token=options.service_token),
                talk_rate=talk_rate,
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
            stages=stages,
            listening=providers.listening,
        )
        servicer = SpeechServicer(
            streams=streams,
            personas=personas,
            toolsets=toolsets,
            recognizer=providers.default.recognizer,
            synthesizer=providers.default.synthesizer,
            longest_utterance_s=providers.listening.rules.longest_s,
            talk_rate=talk_rate,
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


async def _prepare_stages(
    providers: Providers, personas: Personas, toolsets: Mapping[str, Toolset]
) -> StagesOf:
    """Return what makes the replies of each persona."""
    by_profile: dict[str, Stages] = {}
    for name, trio in {**providers.by_profile, "": providers.default}.items():
        served = {
            persona_id: each for persona_id, each in personas.by_id.items() if each.profile == name
        }
        dialogue = await Dialogue.prepare(
            replace(personas, by_id=served),
            chat=trio.chat,
            embedder=providers.embedder,
            toolsets=toolsets,
        )
        by_profile[name] = Stages(
            recognizer=trio.recognizer, dialogue=dialogue, synthesizer=trio.synthesizer
        )
    return lambda persona: by_profile[persona.profile]
