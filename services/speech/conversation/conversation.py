"""One conversation: takes what is asked and said, and holds one turn at a time."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from enum import StrEnum
from functools import partial

from services.runtime.failures.errors import ServiceError
from services.runtime.telemetry import tracing
from services.speech.conversation.current_turn import LastReply, RunningTurn
from services.speech.conversation.event_log import EventLog
from services.speech.conversation.events import (
    Event,
    SpeechDismissed,
    SpeechEnded,
    SpeechStarted,
    TranscriptUpdated,
    TurnOrigin,
)
from services.speech.conversation.facts_of_call import FactsOfCall
from services.speech.conversation.fillers import FillerChoice
from services.speech.conversation.numbering import Numbering
from services.speech.conversation.reply import ReplyVoice
from services.speech.conversation.resumption import Resumption
from services.speech.conversation.talk_rate import TalkRate
from services.speech.conversation.turn import StagesOf, Turn
from services.speech.conversation.turn_input import (
    PreemptiveReply,
    ScriptedInput,
    SpokenInput,
    WrittenInput,
    is_prompt,
)
from services.speech.conversation.turn_queue import Permit, QueuedTurn, TurnQueue, always
from services.speech.conversation.usage import UsageMeter
from services.speech.dialogue.generation import Generation
from services.speech.dialogue.replies import History
from services.speech.listening.interruption import UtteranceKind
from services.speech.listening.turn_detector import Speaking
from services.speech.playback.ports import Speaker
from services.speech.streams import closing
from services.speech.tools.calls import Calls, ReplyCalls

LAST_TURN_S = 8.0
"""How long the last turn may take to settle."""


class Priority(StrEnum):
    """How urgent a scripted text is."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


class Conversation:
    """All streams of a task share one; what any of them asks cuts off the reply to all."""

    def __init__(
        self,
        *,
        events: EventLog,
        history: History,
        last_turn_id: int,
        stages: StagesOf,
        calls: Calls,
        facts: FactsOfCall,
        talk_rate: TalkRate,
        request_ids: Sequence[str] = (),
        permit: Permit = always,
    ) -> None:
        self.events = events
        self._history = history
        self._turn_id = last_turn_id
        self._stages = stages
        self.calls = calls
        self._filler_choice = FillerChoice()
        self._facts = facts
        self._talk_rate = talk_rate
        self._queue = TurnQueue(request_ids)
        self._permit = permit
        self.usage = UsageMeter()
        self._running: RunningTurn | None = None
        self._last_reply: LastReply | None = None
        self._resumption = Resumption()
        self._numbering = Numbering()
        self._active_at = _now()
        self._language_code = ""
        self.linger_s: float | None = None
        """How long the task outlives its last stream, if the user has left."""

    @property
    def is_idle(self) -> bool:
        """Whether no turn is running or waiting."""
        return not self._turns

    @property
    def quiet_s(self) -> float:
        """How long nothing has been asked or said; asking a silent user changes nothing."""
        if any(not is_prompt(turn.turn_input) for turn in self._turns):
            return 0.0
        return _now() - self._active_at

    @property
    def speaking(self) -> Speaking:
        """What the digital human is doing now."""
        now = self._running.speaking if self._running is not None else Speaking.SILENT
        return Speaking.PREPARING if now is Speaking.SILENT and len(self._queue) else now

    @property
    def recent_speech(self) -> str:
        """What is being said, or was said until a moment ago."""
        if self._running is not None:
            return self._running.turn.reply_text
        return self._last_reply.echo if self._last_reply is not None else ""

    @property
    def next_turn_id(self) -> int:
        """The id of the turn that what the user says now will become."""
        return self._turn_id + self._queue.urgent_count + 1

    def now_speaking(self, reply_voice: ReplyVoice) -> ReplyVoice:
        """Return who replies in the language that was used last."""
        turn = self._running.turn if self._running is not None else None
        language_code = turn.language_code if turn is not None else self._language_code
        return reply_voice.speaking(language_code) if language_code else reply_voice

    def in_call(self, reply_voice: ReplyVoice) -> ReplyVoice:
        """Return who replies, with what was known of the call when it was read last."""
        voices = self._stages(reply_voice.persona).synthesizer.voices
        return reply_voice.in_call(self._facts.known, voices)

    def preempt(self, text: str, *, reply_voice: ReplyVoice) -> PreemptiveReply | None:
        """Begin a reply to words that may not be all; None while that must wait."""
        if not self.is_idle or self._talk_rate.wait_s:
            return None
        calls = ReplyCalls(self.calls)
        generation = Generation(self._reply(text, reply_voice, calls), calls)
        generation.begin()
        return PreemptiveReply(
            turn_id=self.next_turn_id,
            user_text=text,
            language_code=reply_voice.language.language_code,
            generation=generation,
        )

    def ask(
        self, turn_input: SpokenInput | WrittenInput, *, reply_voice: ReplyVoice, speaker: Speaker
    ) -> QueuedTurn | None:
        """The user said something: it cuts off what is being said and is answered next.

        None if it was asked before. Raises ServiceError when too many turns wait.
        """
        if not self._queue.admit(turn_input.request_id):
            return None
        self._active_at = _now()
        if isinstance(turn_input, SpokenInput):
            self._numbering.end(speaker)
            ended = SpeechEnded(end_s=turn_input.utterance.end_s)
            self._publish(ended, self.next_turn_id)
        self.cut_reply()
        asked = QueuedTurn(turn_input=turn_input, reply_voice=reply_voice, speaker=speaker)
        self._queue.add_urgent(asked)
        return asked

    def say(
        self,
        scripted: ScriptedInput,
        *,
        priority: Priority,
        reply_voice: ReplyVoice,
        speaker: Speaker,
    ) -> QueuedTurn | None:
        """The application has something said; None if it is dropped, or was said before.

        Raises ServiceError when too many turns wait.
        """
        if priority is Priority.LOW and not self.is_idle:
            return None
        if not self._queue.admit(scripted.request_id):
            return None
        if not is_prompt(scripted):
            self._active_at = _now()
        said = QueuedTurn(turn_input=scripted, reply_voice=reply_voice, speaker=speaker)
        if priority is Priority.HIGH:
            self.cut_reply()
            self._queue.add_urgent(said)
        else:
            self._queue.add_patient(said)
        return said

    def note_speech(self, start_s: float, *, speaker: Speaker | None = None) -> None:
        """The user's voice is heard, by the stream that the speaker belongs to."""
        self._active_at = _now()
        turn_id = self._numbering.begin(speaker, next_turn_id=self.next_turn_id)
        self._publish(SpeechStarted(start_s=start_s), turn_id)

    def note_words(self, text: str) -> None:
        """The user, who is still speaking, has said this so far."""
        self._publish(TranscriptUpdated(text=text, is_final=False), self.next_turn_id)

    def note_silence(self) -> None:
        """An utterance ended before it began."""
        self._publish(SpeechDismissed(kind=UtteranceKind.NOISE, text=""), self.next_turn_id)

    def leave(self, speaker: Speaker) -> None:
        """A stream hears nothing more."""
        self._numbering.end(speaker)

    def cut_reply(self) -> None:
        """Cut off the running reply and those to earlier questions; none of them is resumed."""
        self._resumption.give_up()
        self._cut()

    def yield_floor(self) -> None:
        """Cut the reply off for the user's voice; `dismiss` resumes it."""
        running = self._running.queued if self._running is not None else None
        if running is not None and running.is_interruptible and not running.cut.done():
            self._resumption.offer(running)
        self._cut()

    async def dismiss(
        self, kind: UtteranceKind, text: str, *, speaker: Speaker | None = None
    ) -> None:
        """The user's voice asked for nothing: resume what it cut off."""
        self._numbering.end(speaker)
        self._publish(SpeechDismissed(kind=kind, text=text), self.next_turn_id)
        if (resumed := await self._resumption.take()) is not None:
            self._queue.add_first(resumed)

    def interrupt(self) -> None:
        """Cut off what is being said and drop what was to be said after it."""
        self.cut_reply()
        self._queue.drop_patient()

    def take_back(self, request_id: str) -> None:
        """Withdraw words to say; what was not asked for, or is over, is not there any more."""
        for turn in self._turns:
            if turn.turn_input.origin is TurnOrigin.SAY and (
                turn.turn_input.request_id == request_id
            ):
                self.withdraw(turn)

    async def greet(self, *, reply_voice: ReplyVoice, speaker: Speaker) -> None:
        """Greet the user, unless there is no greeting or something was asked or said before."""
        await self._facts.current()
        greeting = self.in_call(self.now_speaking(reply_voice))
        is_first = not (self._turn_id or self._turns) and self._numbering.silence.is_set()
        if not is_first or not greeting.language.greeting:
            return
        self.say(
            ScriptedInput(
                text=greeting.language.greeting,
                arrived_at=_now(),
                origin=TurnOrigin.GREETING,
                is_interruptible=greeting.is_greeting_interruptible,
            ),
            priority=Priority.NORMAL,
            reply_voice=reply_voice,
            speaker=speaker,
        )

    def withdraw(self, turn: QueuedTurn) -> None:
        """Cut off one turn alone; one that waits to be said is dropped."""
        if not (self._queue.drop(turn) or self._resumption.withdraw(turn)):
            turn.cut_off()

    async def settled(self) -> None:
        """Wait until every turn that is running or waiting now is over."""
        unfinished = {turn.over for turn in self._turns}
        if unfinished:
            await asyncio.wait(unfinished)

    async def at_rest(self) -> None:
        """Wait until nobody speaks: the digital human, or a user whose words become a turn."""
        while not (self.is_idle and self._numbering.silence.is_set()):
            await self._numbering.silence.wait()
            await self.settled()

    async def cut_off(self) -> None:
        """Cut off whatever is being said and wait until it is known what was heard."""
        self.interrupt()
        for turn in self._turns:
            self.withdraw(turn)
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_TURN_S):
                await self.settled()

    async def hold_turns(self) -> None:
        """Hold one turn after the other until cancelled."""
        while True:
            queued = await self._queue.next(self._permit)
            self._turn_id += 1
            turn = Turn(
                turn_id=self._turn_id,
                turn_input=queued.turn_input,
                reply_voice=self.now_speaking(queued.reply_voice),
                stages=self._stages(queued.reply_voice.persona),
                facts=self._facts,
                speaker=queued.speaker,
                history=self._history,
                usage=self.usage,
                calls=self.calls,
                filler_choice=self._filler_choice,
                talk_rate=self._talk_rate,
                publish=partial(self.events.publish, turn_id=self._turn_id),
                cut=queued.cut,
            )
            self._running = RunningTurn(queued=queued, turn=turn)
            rest = None
            try:
                with tracing.resumed(queued.requested_in):
                    rest = await turn.run()
            finally:
                self._running = None
                self._language_code = turn.language_code
                self._last_reply = LastReply.of(turn)
                if not is_prompt(queued.turn_input):
                    self._active_at = _now()
                if rest is not None:
                    self._resumption.keep(queued, rest)
                queued.over.set_result(None)

    async def _reply(
        self, text: str, reply_voice: ReplyVoice, calls: ReplyCalls
    ) -> AsyncIterator[str]:
        """Yield the reply to a text, as soon as it is known what is known of the call."""
        stages = self._stages(reply_voice.persona)
        voice = reply_voice.in_call(await self._facts.current(), stages.synthesizer.voices)
        deltas = stages.dialogue.reply(
            text,
            persona=voice.persona,
            language=voice.language,
            history=self._history,
            on_usage=self.usage.add,
            calls=calls,
            of_call=voice.tools,
        )
        async with closing(deltas):
            async for delta in deltas:
                yield delta

    @property
    def _turns(self) -> list[QueuedTurn]:
        """The turns that are running or waiting."""
        running = [self._running.queued] if self._running is not None else []
        return [*running, *self._queue]

    def _cut(self) -> None:
        if self._running is not None:
            self._running.queued.interrupt()
        self._queue.cut_urgent()

    def _publish(self, event: Event, turn_id: int) -> None:
        self.events.publish(event, turn_id=turn_id)


def _now() -> float:
    return asyncio.get_running_loop().time()


@asynccontextmanager
async def held(conversation: Conversation) -> AsyncIterator[Conversation]:
    """A conversation that holds turns until the block ends, when the last is cut off.

    After a ServiceError another replica holds turns: then the last ends without a word more.
    """
    holding = asyncio.create_task(conversation.hold_turns())
    try:
        yield conversation
    except ServiceError:
        raise
    except BaseException:
        await conversation.cut_off()
        raise
    else:
        await conversation.cut_off()
    finally:
        holding.cancel()
        await asyncio.wait({holding})
        conversation.events.deliver()
