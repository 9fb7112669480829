"""Conversations at once never hear each other, however what is sent to them interleaves."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto

import grpc
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from digitalhuman.conversation.v1 import conversation_pb2 as events_pb
from digitalhuman.speech.v1 import speech_pb2 as pb
from services.speech.ports.chat import ChatItem, ChatRequest
from services.speech.ports.synthesis import SpeechChunk
from tests.support.converse import COMMIT, INTERRUPT, Talk, audio, say, setup, text
from tests.support.loudness import silent
from tests.support.scripted_providers import ScriptedChat, ScriptedRecognizer, ScriptedSynthesizer
from tests.support.speech_rig import Script, SpeechRig, speech_rig

LETTERS = "ABC"
STAMP = re.compile(rf"([{LETTERS}])\1\1\1")
SAMPLES_PER_CHARACTER = 24
VOICE = 0x4000


class Act(Enum):
    """What happens to one of the tasks."""

    SPEAK = auto()
    BREAK_OFF = auto()
    WRITE = auto()
    SAY = auto()
    SAY_NOW = auto()
    INTERRUPT = auto()
    DROP = auto()
    REST = auto()


def stamp(letter: str) -> str:
    """What marks all content of a task."""
    return 4 * letter


def voice(letter: str, seconds: float) -> bytes:
    """The voice of a task's user, which only the scripted recognizer can tell from others."""
    sample = (VOICE + ord(letter)).to_bytes(2, "little")
    return sample * round(seconds * 16_000 / 256) * 256


def hear(pcm: bytes) -> str:
    """All whose voices are in a recording."""
    samples = memoryview(pcm).cast("h")
    return " and ".join(stamp(chr(each - VOICE)) for each in sorted(set(samples)) if each)


def letters_of(pcm: bytes) -> set[str]:
    """All of whom a sound of the scripted synthesizer tells."""
    return {chr(sample) for sample in memoryview(pcm).cast("h")} & set(LETTERS)


class TellTale(ScriptedChat):
    """Repeats the marks of all that its prompt tells it."""

    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatItem]:
        """Yield them in pieces, and let others go on in between."""
        prompt = " ".join(message.content for message in request.messages)
        for letter in sorted(set(STAMP.findall(prompt))):
            await asyncio.sleep(0)
            yield f"so you are {stamp(letter)}, and that is all there is. "


class SpellingSynthesizer(ScriptedSynthesizer):
    """Has every character as samples of its own value."""

    async def _speak_text(self, text: str, voice_id: str) -> AsyncIterator[SpeechChunk]:
        """Yield the audio in two chunks."""
        half = len(text) // 2
        for part in (text[:half], text[half:]):
            samples = (ord(each).to_bytes(2, "little") for each in part)
            yield SpeechChunk(pcm=b"".join(each * SAMPLES_PER_CHARACTER for each in samples))


@dataclass(slots=True)
class Party:
    """One task and its client, who comes back where it went away."""

    rig: SpeechRig
    letter: str
    task_id: str
    is_open_microphone: bool
    events: list[events_pb.ConversationEvent] = field(default_factory=list)
    pcm: bytes = b""
    _talk: Talk | None = None
    _reading: "asyncio.Task[list[str]] | None" = None

    async def act(self, act: Act) -> None:
        """Do something; the stream is opened when there is none."""
        if act is Act.DROP:
            await self.leave()
            return
        talk = self._talk or await self._join()
        await talk.send(*self._requests(act))
        if act is Act.REST:
            await asyncio.sleep(0.002)

    async def settle(self) -> None:
        """Come back if away, and stay until everything is over."""
        talk = self._talk or await self._join()
        assert self._reading is not None
        await talk.half_close()
        await self._reading
        await self.leave()

    async def leave(self) -> None:
        """Go away in the middle."""
        if self._talk is None or self._reading is None:
            return
        await self._talk.cancel()
        with suppress(grpc.aio.AioRpcError, asyncio.CancelledError):
            await self._reading
        self.events += self._talk.events
        self.pcm += bytes(self._talk.pcm)
        self._talk = self._reading = None

    async def _join(self) -> Talk:
        detection = pb.TURN_DETECTION_SERVER if self.is_open_microphone else None
        talk = Talk(self.rig.stub)
        await talk.send(
            setup(
                task_id=self.task_id,
                persona_id="tutor",
                output=pb.REPLY_OUTPUT_AVATAR_AND_AUDIO,
                turn_detection=detection or pb.TURN_DETECTION_MANUAL,
                resume_after_sequence=len(self.events),
            )
        )
        self._talk = talk
        self._reading = asyncio.create_task(talk.read_on())
        return talk

    def _requests(self, act: Act) -> Iterator[pb.ConverseRequest]:
        match act:
            case Act.SPEAK:
                yield from audio(voice(self.letter, 0.5) + silent(1.5))
                if not self.is_open_microphone:
                    yield COMMIT
            case Act.BREAK_OFF:
                yield from audio(voice(self.letter, 0.3))
            case Act.WRITE:
                yield text(f"hello from {stamp(self.letter)}")
            case Act.SAY:
                yield say(f"this is for {stamp(self.letter)}, and for nobody else.")
            case Act.SAY_NOW:
                yield say(f"now {stamp(self.letter)}, listen.", pb.SAY_PRIORITY_HIGH)
            case Act.INTERRUPT:
                yield INTERRUPT
            case _:
                return


def check(party: Party) -> None:
    """Everything that a task got is its own, and it got everything."""
    own = {party.letter}
    record = party.rig.tasks.records[party.task_id]
    assert party.events == record
    assert set(STAMP.findall(str(record))) <= own
    assert letters_of(party.pcm) <= own
    drives = [
        drive
        for drive in party.rig.avatars.drives
        if drive.setup.avatar_id == f"avatar-of-{party.task_id}"
    ]
    for drive in drives:
        assert letters_of(bytes(drive.pcm)) <= own
    heard = [turn for each in record if (turn := each.turn_finished).heard_text]
    assert not heard or any(letters_of(bytes(drive.pcm)) for drive in drives)
    ended = Counter(each.turn_id for each in record if each.HasField("turn_finished"))
    assert set(ended.values()) <= {1}


async def hold(
    rig: SpeechRig, acts: Sequence[tuple[int, Act]], microphones: Sequence[bool]
) -> list[Party]:
    """Let all that happens happen."""
    parties = []
    for letter, is_open_microphone in zip(LETTERS, microphones, strict=True):
        task_id = f"task_of_{letter}"
        rig.tasks.add(task_id)
        parties.append(Party(rig, letter, task_id, is_open_microphone))
    async with asyncio.timeout(30):
        for index, act in acts:
            await parties[index].act(act)
        await asyncio.gather(*(party.settle() for party in parties))
    return parties


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@given(
    acts=st.lists(
        st.tuples(st.integers(0, len(LETTERS) - 1), st.sampled_from(list(Act))), max_size=24
    ),
    microphones=st.tuples(*[st.booleans()] * len(LETTERS)),
)
@example(
    acts=[(index, act) for act in Act for index in range(len(LETTERS))],
    microphones=(False, True, False),
)
# Streams that come back at the moment in which their conversation ends.
@example(
    acts=[
        (2, Act.INTERRUPT),
        (0, Act.SPEAK),
        (1, Act.SAY_NOW),
        (2, Act.SAY),
        (0, Act.INTERRUPT),
        (0, Act.WRITE),
        (1, Act.DROP),
        (2, Act.SAY),
        (0, Act.INTERRUPT),
        (0, Act.WRITE),
        (1, Act.DROP),
        (0, Act.REST),
        (2, Act.SPEAK),
        (1, Act.SPEAK),
        (2, Act.BREAK_OFF),
        (1, Act.DROP),
        (1, Act.SAY),
        (1, Act.SAY_NOW),
        (0, Act.SAY),
        (0, Act.DROP),
        (2, Act.WRITE),
        (0, Act.BREAK_OFF),
        (2, Act.SAY_NOW),
        (1, Act.WRITE),
    ],
    microphones=(True, True, True),
)
@settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_no_task_hears_another(
    runner: asyncio.Runner, acts: list[tuple[int, Act]], microphones: tuple[bool, ...]
) -> None:
    async def run() -> None:
        script = Script(
            recognizer=ScriptedRecognizer(hears=hear),
            chat=TellTale(),
            synthesizer=SpellingSynthesizer(),
        )
        async with speech_rig(script) as rig:
            parties = await hold(rig, acts, microphones)
        # Now all that was said is on record.
        for party in parties:
            check(party)

    runner.run(run())
