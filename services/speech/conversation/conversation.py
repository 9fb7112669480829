"""One conversation: takes what is asked and said, and holds one turn at a time."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Protocol

from digitalhuman.conversation.v1 import conversation_pb2
from services.runtime import tracing
from services.runtime.errors import ServiceError
from services.runtime.reasons import Reason
from services.speech.conversation.event_log import EventLog
from services.speech.conversation.events import (
    Event,
    SpeechDismissed,
    SpeechEnded,
    SpeechStarted,
    TurnOrigin,
)
from services.speech.conversation.numbering import Numbering
from services.speech.conversation.turn import (
    ReplyVoice,
    Resumed,
    Scripted,
    Spoken,
    Stages,
    Turn,
    TurnInput,
    Written,
)
from services.speech.dialogue.draft import Draft
from services.speech.dialogue.replies import History
from services.speech.listening.interruption import UtteranceKind
from services.speech.listening.turn_detector import Speaking
from services.speech.ports import Speaker

WAITING_TURNS = 16
REMEMBERED_REQUESTS = 256
"""What may come again was sent a moment ago."""

ECHO_S = 2.0
"""How long after a reply its sound may still come back through a microphone."""

CLOSE_S = 8.0
"""How long the last turn may take to settle."""


class Priority(StrEnum):
    """How much a scripted text matters."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


class Past(Protocol):
    """The events of a conversation that are over."""

    async def events_after(self, sequence: int) -> Sequence[conversation_pb2.ConversationEvent]:
        """Return them, up to the latest; raises ServiceError."""


def _now() -> float:
    return asyncio.get_running_loop().time()


def _future() -> asyncio.Future[None]:
    return asyncio.get_running_loop().create_future()


@dataclass(frozen=True, slots=True, kw_only=True)
class PreemptiveReply:
    """A reply that is begun to what may be the whole of the user's words, as turn `turn_id`."""

    text: str
    turn_id: int
    draft: Draft


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A turn that is to be held: `cut` ends its reply, `over` is done after it.

    It is held in the task of the conversation, and traced below the stream that asked for it.
    """

    turn_input: TurnInput
    reply_voice: ReplyVoice
    speaker: Speaker
    asked_below: tracing.Place = field(default_factory=tracing.current)
    cut: asyncio.Future[None] = field(default_factory=_future)
    over: asyncio.Future[None] = field(default_factory=_future)


class Conversation:
    """All streams of a task share one; what any of them asks cuts off the reply to all."""

    def __init__(
        self,
        *,
        events: EventLog,
        past: Past | None,
        history: History,
        last_turn_id: int,
        stages: Stages,
        request_ids: Sequence[str] = (),
    ) -> None:
        self.events = events
        self._past = past
        self._history = history
        self._turn_id = last_turn_id
        self._stages = stages
        self._request_ids = deque(request_ids, maxlen=REMEMBERED_REQUESTS)
        self._urgent: deque[Asked] = deque()
        self._patient: deque[Asked] = deque()
        self._running: Asked | None = None
        self._turn: Turn | None = None
        self._ended_at = float("-inf")
        self._yielded: Asked | None = None
        self._rest: Resumed | None = None
        self._numbering = Numbering()
        self._changed = asyncio.Event()
        self._active_at = _now()
        self.linger_s: float | None = None
        """How long the task outlives its last stream, if the user has left."""

    @property
    def is_idle(self) -> bool:
        """Whether no turn is running or waiting."""
        return not (self._running or self._urgent or self._patient)

    @property
    def quiet_s(self) -> float:
        """How long nothing has been asked or said; asking a silent user changes nothing."""
        turns = (self._running, *self._urgent, *self._patient)
        if any(turn is not None and not _is_prompt(turn.turn_input) for turn in turns):
            return 0.0
        return _now() - self._active_at

    @property
    def speaking(self) -> Speaking:
        """What the digital human is doing now; a reply that is cut off is none any more."""
        if self._running is not None and not self._running.cut.done():
            is_audible = self._turn is not None and self._turn.is_audible
            return Speaking.ALOUD if is_audible else Speaking.PREPARING
        return Speaking.PREPARING if self._urgent or self._patient else Speaking.SILENT

    @property
    def recent_speech(self) -> str:
        """What is being said, or was said until a moment ago."""
        if self._turn is None or (self._running is None and _now() > self._ended_at + ECHO_S):
            return ""
        return self._turn.reply_text

    def preempt(self, text: str, *, reply_voice: ReplyVoice) -> PreemptiveReply | None:
        """Begin a reply to words that may not be all; None while something else is going on."""
        if not self.is_idle:
            return None
        deltas = self._stages.dialogue.reply(
            text, persona=reply_voice.persona, language=reply_voice.language, history=self._history
        )
        return PreemptiveReply(text=text, turn_id=self.next_turn_id, draft=Draft(deltas))

    def ask(
        self, turn_input: Spoken | Written, *, reply_voice: ReplyVoice, speaker: Speaker
    ) -> Asked | None:
        """The user said something: it cuts off what is being said and is answered next.

        None for what was asked before.
        """
        request_id = turn_input.request_id if isinstance(turn_input, Written) else ""
        if request_id in self._request_ids:
            return None
        self._admit(request_id)
        self._active_at = _now()
        if isinstance(turn_input, Spoken):
            self._numbering.end(speaker)
            ended = SpeechEnded(end_s=turn_input.utterance.end_s)
            self._publish(ended, self.next_turn_id)
        self.cut_reply()
        asked = Asked(turn_input=turn_input, reply_voice=reply_voice, speaker=speaker)
        self._urgent.append(asked)
        self._changed.set()
        return asked

    def say(
        self, scripted: Scripted, *, priority: Priority, reply_voice: ReplyVoice, speaker: Speaker
    ) -> Asked | None:
        """The application has something said; None for what is dropped, or was said before."""
        if priority is Priority.LOW and not self.is_idle:
            return None
        if scripted.request_id in self._request_ids:
            return None
        self._admit(scripted.request_id)
        if not _is_prompt(scripted):
            self._active_at = _now()
        asked = Asked(turn_input=scripted, reply_voice=reply_voice, speaker=speaker)
        if priority is Priority.HIGH:
            self.cut_reply()
            self._urgent.append(asked)
        else:
            self._patient.append(asked)
        self._changed.set()
        return asked

    def note_speech(self, start_s: float, *, speaker: Speaker | None = None) -> None:
        """A voice is heard from the user, by a stream that its speaker stands for."""
        self._active_at = _now()
        turn_id = self._numbering.begin(speaker, next_turn_id=self.next_turn_id)
        self._publish(SpeechStarted(start_s=start_s), turn_id)

    def leave(self, speaker: Speaker) -> None:
        """A stream hears nothing more."""
        self._numbering.end(speaker)

    def note_silence(self) -> None:
        """An utterance ended before it began."""
        self._publish(SpeechDismissed(kind=UtteranceKind.NOISE, text=""), self.next_turn_id)

    def cut_reply(self) -> None:
        """Cut off the running reply and those to earlier questions, for good."""
        self._yielded = None
        self._drop_rest()
        self._cut()

    def take_back(self, asked: Asked) -> None:
        """Cut off one turn, whoever else's are held; one that waits to be said is dropped."""
        if asked in self._patient:
            self._patient.remove(asked)
            asked.over.set_result(None)
        elif asked is self._yielded:
            self._yielded = None
            self._drop_rest()
        elif not asked.cut.done():
            asked.cut.set_result(None)

    def yield_floor(self) -> None:
        """Cut the reply off for the user's voice; `dismiss` has it taken up again."""
        if self._running is not None and not self._running.cut.done():
            self._yielded = self._running
        self._cut()

    async def dismiss(
        self, kind: UtteranceKind, text: str, *, speaker: Speaker | None = None
    ) -> None:
        """The user's voice asked for nothing: go on with what it cut off."""
        self._numbering.end(speaker)
        self._publish(SpeechDismissed(kind=kind, text=text), self.next_turn_id)
        yielded = self._yielded
        if yielded is None:
            return
        await asyncio.wait({yielded.over})
        if self._yielded is yielded and self._rest is not None:
            rest, self._rest = self._rest, None
            resumed = Asked(
                turn_input=rest, reply_voice=yielded.reply_voice, speaker=yielded.speaker
            )
            self._urgent.appendleft(resumed)
            self._changed.set()
        self._yielded = None

    def interrupt(self) -> None:
        """Cut off what is being said and drop what was to be said after it."""
        self.cut_reply()
        for dropped in self._patient:
            dropped.over.set_result(None)
        self._patient.clear()

    async def settled(self) -> None:
        """Wait until every turn that is running or waiting now is over."""
        turns = (self._running, *self._urgent, *self._patient)
        unfinished = {turn.over for turn in turns if turn is not None}
        if unfinished:
            await asyncio.wait(unfinished)

    async def events_after(self, sequence: int) -> Sequence[conversation_pb2.ConversationEvent]:
        """Return the events after a sequence up to now; raises ServiceError."""
        last = self.events.last_sequence
        if sequence > last:
            raise ServiceError(
                Reason.SEQUENCE_OUT_OF_RANGE,
                f"setup.resume_after_sequence: {sequence} lies beyond the last, {last}",
                last_sequence=str(last),
            )
        if self._past is None or sequence == last:
            return ()
        events = await self._past.events_after(sequence)
        return [event for event in events if event.sequence <= last]

    async def hold_turns(self) -> None:
        """Hold one turn after the other until cancelled."""
        while True:
            waiting = await self._next()
            self._turn_id += 1
            self._turn = Turn(
                turn_id=self._turn_id,
                turn_input=waiting.turn_input,
                reply_voice=waiting.reply_voice,
                stages=self._stages,
                speaker=waiting.speaker,
                history=self._history,
                publish=partial(self.events.publish, turn_id=self._turn_id),
                cut=waiting.cut,
            )
            rest = None
            try:
                with tracing.resumed(waiting.asked_below):
                    rest = await self._turn.run()
            finally:
                self._running = None
                self._ended_at = _now()
                if not _is_prompt(waiting.turn_input):
                    self._active_at = self._ended_at
                self._keep(rest, waiting)
                waiting.over.set_result(None)

    async def _next(self) -> Asked:
        while not (self._urgent or self._patient):
            self._changed.clear()
            await self._changed.wait()
        self._running = (self._urgent or self._patient).popleft()
        return self._running

    def _keep(self, rest: Resumed | None, waiting: Asked) -> None:
        """Keep what is left of a reply while it may be taken up again."""
        if rest is None:
            return
        if self._yielded is waiting:
            self._rest = rest
        else:
            rest.draft.drop()

    def _drop_rest(self) -> None:
        if self._rest is not None:
            self._rest.draft.drop()
            self._rest = None

    def _cut(self) -> None:
        for turn in (self._running, *self._urgent):
            if turn is not None and not turn.cut.done():
                turn.cut.set_result(None)

    @property
    def next_turn_id(self) -> int:
        """The turn that the user's words of now will make."""
        return self._turn_id + len(self._urgent) + 1

    def _admit(self, request_id: str) -> None:
        """Let one more wait; what comes again by its id is known from now on."""
        if len(self._urgent) + len(self._patient) >= WAITING_TURNS:
            raise ServiceError(
                Reason.RATE_LIMITED,
                f"request: at most {WAITING_TURNS} turns may wait to be held",
                retry_after_s=1.0,
            )
        if request_id:
            self._request_ids.append(request_id)

    def _publish(self, event: Event, turn_id: int) -> None:
        self.events.publish(event, turn_id=turn_id)


def _is_prompt(turn_input: TurnInput) -> bool:
    """Return whether a turn asks a user who says nothing."""
    return isinstance(turn_input, Scripted) and turn_input.origin is TurnOrigin.PROMPT


@asynccontextmanager
async def held(conversation: Conversation) -> AsyncIterator[Conversation]:
    """A conversation that holds turns until the block ends, when the last is cut off."""
    holding = asyncio.create_task(conversation.hold_turns())
    try:
        yield conversation
    finally:
        conversation.interrupt()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await conversation.settled()
        holding.cancel()
        await asyncio.wait({holding})
