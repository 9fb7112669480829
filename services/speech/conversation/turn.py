"""One turn: from the user's words to the last sample of the reply that was heard."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import TypeAlias, assert_never

import structlog

from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.speech.conversation import outcome
from services.speech.conversation.events import (
    Event,
    PlaybackStarted,
    SpeechDismissed,
    ToolCalled,
    TurnFailed,
    TurnFinished,
    TurnStarted,
)
from services.speech.conversation.facts_of_call import FactsOfCall
from services.speech.conversation.fillers import FillerChoice
from services.speech.conversation.reply import Reply, ReplyVoice
from services.speech.conversation.talk_rate import TalkRate
from services.speech.conversation.transcription import transcript_of
from services.speech.conversation.turn_input import (
    ResumedInput,
    ScriptedInput,
    SpokenInput,
    TurnInput,
    WrittenInput,
    is_prompt,
)
from services.speech.conversation.usage import UsageMeter
from services.speech.dialogue.generation import Generation
from services.speech.dialogue.other_language import (
    LocalizedText,
    joined,
    language_refusal,
    other_language,
)
from services.speech.dialogue.replies import Dialogue, Exchange, History
from services.speech.listening.interruption import UtteranceKind
from services.speech.personas.catalogue import Persona
from services.speech.playback.ledger import Heard, HeardMethod, Ledger
from services.speech.playback.ports import Drive, Playback, PlaybackMethod, Speaker
from services.speech.ports.chat import ToolCall
from services.speech.ports.recognition import Recognizer, Transcript
from services.speech.ports.synthesis import Synthesizer
from services.speech.streams import once
from services.speech.telemetry.metrics import DISMISSED_SPEECH
from services.speech.telemetry.waterfall import Mark, Waterfall
from services.speech.text.segmentation import clause_start
from services.speech.tools.calls import Call, Calls, ReplyCalls
from services.speech.voices import speaks

log = structlog.get_logger(__name__)

RECOGNIZER_S = 0.005
"""For how long a recognizer goes first that is told of the end of an utterance: to open a drive
and to read what is known of the call wakes three more processes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """What makes replies."""

    recognizer: Recognizer
    dialogue: Dialogue
    synthesizer: Synthesizer


StagesOf: TypeAlias = Callable[[Persona], Stages]
"""What makes the replies of a persona."""


class Turn:
    """Runs in one task of its owner; when `cut` is done, the reply ends and `run` settles it.

    The user's words are taken even then. The reply is played in an inner task; once that is
    cancelled, the drive says what was heard.
    """

    def __init__(
        self,
        *,
        turn_id: int,
        turn_input: TurnInput,
        reply_voice: ReplyVoice,
        stages: Stages,
        facts: FactsOfCall,
        speaker: Speaker,
        history: History,
        usage: UsageMeter,
        calls: Calls,
        filler_choice: FillerChoice,
        talk_rate: TalkRate,
        publish: Callable[[Event], None],
        cut: asyncio.Future[None],
    ) -> None:
        self._turn_id = turn_id
        self._input = turn_input
        self._reply_voice = reply_voice
        self._stages = stages
        self._facts = facts
        self._speaker = speaker
        self._history = history
        self._usage = usage
        self._calls = calls
        self._filler_choice = filler_choice
        self._talk_rate = talk_rate
        self._publish = publish
        self._ledger = Ledger(sample_rate_hertz=stages.synthesizer.sample_rate_hertz)
        self._waterfall = Waterfall(turn_input.arrived_at)
        self._generation = turn_input.generation
        self._user_text = ""
        self._discarded_replies = (
            turn_input.discarded_replies if isinstance(turn_input, SpokenInput) else 0
        )
        self._sayings: tuple[LocalizedText, ...] = ()
        self._cut = cut

    @property
    def is_audible(self) -> bool:
        """Whether the reply is heard."""
        return Mark.PLAYBACK_STARTED in self._waterfall.offsets

    @property
    def language_code(self) -> str:
        """The language of the reply."""
        return self._reply_voice.language.language_code

    @property
    def reply_text(self) -> str:
        """The reply so far."""
        return self._ledger.reply_text

    async def run(self) -> ResumedInput | None:
        """Hold the turn; it ends with exactly one TurnFinished or TurnFailed.

        What an open microphone took for an utterance, and proves to be none, is only dismissed.

        Returns how a reply that was cut off may be resumed; its generation is the caller's to end.
        """
        rest = None
        try:
            if isinstance(self._input, SpokenInput) and self._input.transcript is not None:
                await asyncio.wait({self._input.transcript}, timeout=RECOGNIZER_S)
            # The drive opens while the user's words are recognised and the reply is begun.
            async with self._speaker.open(
                turn_id=self._turn_id,
                sample_rate_hertz=self._stages.synthesizer.sample_rate_hertz,
                watcher=self,
            ) as drive:
                rest = await self._answer(drive)
        except Exception as error:
            if self._was_noise(error):
                DISMISSED_SPEECH.labels(remark=UtteranceKind.NOISE).inc()
                self._publish(SpeechDismissed(kind=UtteranceKind.NOISE, text=""))
            else:
                self._fail(error, Playback())
        finally:
            if rest is None and self._generation is not None:
                await self._generation.close()
        return rest

    def drive_ready(self) -> None:
        """The drive is open."""
        self._waterfall.reach(Mark.DRIVE_READY)

    def playback_started(self, method: PlaybackMethod) -> None:
        """The reply is heard from now on."""
        self._waterfall.reach(Mark.PLAYBACK_STARTED)
        self._publish(PlaybackStarted(method=method))

    async def _answer(self, drive: Drive) -> ResumedInput | None:
        # What is known of the call is read while the user's words are recognised.
        reading = asyncio.create_task(self._facts.current())
        try:
            await self._take_words()
            facts = await reading
        finally:
            reading.cancel()
        self._reply_voice = self._reply_voice.in_call(facts, self._stages.synthesizer.voices)
        generation = self._begin()
        playing = asyncio.create_task(self._reply(generation).play(drive))
        try:
            # One that is cut off before it begins shall not begin.
            if not self._cut.done():
                await asyncio.wait({playing, self._cut}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            generation.calls.withhold()
            playing.cancel()
            await asyncio.wait({playing})
        if playing.cancelled():
            cut = self._finished(await _settle(drive), was_cut=True)
            self._end(cut)
            return self._rest(generation, cut.ledger.heard)
        if (error := playing.exception()) is not None:
            self._fail(error, drive.playback)
        else:
            self._end(self._finished(drive.playback, was_cut=False))
        return None

    async def _take_words(self) -> None:
        match self._input:
            case SpokenInput() as spoken:
                self._waterfall.reach(Mark.ENDPOINT, spoken.utterance.ended_at)
                transcript = await transcript_of(
                    spoken,
                    self._stages.recognizer,
                    replace(self._reply_voice.recognition, on_usage=self._usage.add),
                    publish=self._publish,
                )
                self._take(transcript)
                self._waterfall.reach(Mark.TRANSCRIPT)
                await self._check_preemptive(spoken)
            case WrittenInput(text=text):
                self._take(Transcript(text=text, is_final=True))
            case ScriptedInput() | ResumedInput():
                pass
            case _:
                assert_never(self._input)

    async def _check_preemptive(self, spoken: SpokenInput) -> None:
        """Discard a reply to words that turned out otherwise."""
        language_code = self.language_code
        if spoken.preemptive is not None and not spoken.preemptive.fits(
            self._user_text, language_code
        ):
            await spoken.preemptive.generation.close()
            self._generation = None
            self._discarded_replies += 1

    def _take(self, transcript: Transcript) -> None:
        """Take what the user said; a language that nobody speaks is answered by saying so."""
        self._user_text = transcript.text
        self._reply_voice = self._reply_voice.answering(transcript)
        language = self._reply_voice.language
        if other := other_language(transcript, language.language_code):
            self._sayings = tuple(
                each
                for each in language_refusal(language, other)
                if any(speaks(v, each.language_code) for v in self._stages.synthesizer.voices)
            )

    def _started(self) -> TurnStarted:
        spoken = self._input if isinstance(self._input, SpokenInput) else None
        return TurnStarted(
            origin=self._input.origin,
            user_text=self._user_text,
            language_code=self.language_code,
            is_preemptive=spoken is not None and self._generation is not None,
            discarded_replies=self._discarded_replies,
            request_id=self._input.request_id,
        )

    def _begin(self) -> Generation:
        """Begin the reply, unless it has begun or is cut off already, and say what it answers.

        In this order: to tell listeners takes half a millisecond.
        """
        started = self._started()
        try:
            if isinstance(self._input, SpokenInput | WrittenInput):
                self._talk_rate.take()
            generation = self._generation = self._generation or self._new_generation()
            generation.calls.permit(self._tell_client)
            if not self._cut.done():
                generation.begin()
        finally:
            self._publish(started)
        return generation

    def _new_generation(self) -> Generation:
        calls = ReplyCalls(self._calls)
        return Generation(self._words(calls), calls)

    def _words(self, calls: ReplyCalls) -> AsyncIterator[str]:
        if isinstance(self._input, ScriptedInput):
            return once(self._scripted(self._input))
        if self._sayings:
            return once(joined(self._sayings))
        return self._stages.dialogue.reply(
            self._user_text,
            persona=self._reply_voice.persona,
            language=self._reply_voice.language,
            history=self._history,
            on_usage=self._usage.add,
            calls=calls,
            of_call=self._reply_voice.tools,
        )

    def _tell_client(self, call: ToolCall) -> None:
        self._publish(ToolCalled(call=call))

    def _scripted(self, scripted: ScriptedInput) -> str:
        """Return words to say; those that ask a silent user may have variables."""
        return self._reply_voice.filled(scripted.text) if is_prompt(scripted) else scripted.text

    def _reply(self, generation: Generation) -> Reply:
        return Reply(
            generation=generation,
            start=self._input.start,
            sayings=self._sayings,
            reply_voice=self._reply_voice,
            synthesizer=self._stages.synthesizer,
            ledger=self._ledger,
            waterfall=self._waterfall,
            publish=self._publish,
            on_usage=self._usage.add,
            filler_choice=self._filler_choice,
            gesture=self._speaker.gesture,
        )

    def _rest(self, generation: Generation, heard: Heard) -> ResumedInput | None:
        """Return what is left to say from the beginning of the clause that was cut off."""
        if heard.method is HeardMethod.COMPLETE:
            return None
        generation.begin()
        return ResumedInput(
            generation=generation,
            start=self._input.start + clause_start(self._ledger.reply_text, len(heard.text)),
            arrived_at=asyncio.get_running_loop().time(),
        )

    def _was_noise(self, error: Exception) -> bool:
        """Whether it was the service, and not the caller, that took noise for an utterance."""
        is_overheard = isinstance(self._input, SpokenInput) and not self._input.is_committed
        return is_overheard and isinstance(error, ServiceError) and error.reason is Reason.NO_SPEECH

    def _finished(self, playback: Playback, *, was_cut: bool) -> TurnFinished:
        return outcome.finished(
            self._ledger, self._waterfall, playback, was_cut=was_cut, calls=self._new_calls()
        )

    def _fail(self, error: BaseException, playback: Playback) -> None:
        self._end(
            outcome.failed(
                self._ledger, playback, error, turn_id=self._turn_id, calls=self._new_calls()
            )
        )

    def _new_calls(self) -> tuple[Call, ...]:
        """Return the calls that were made in this turn."""
        return () if self._generation is None else self._generation.calls.take_new()

    def _end(self, event: TurnFinished | TurnFailed) -> None:
        self._remember(event.heard_text)
        self._publish(replace(event, usage=self._usage.take()))
        outcome.report(event, self._waterfall, turn_id=self._turn_id)

    def _remember(self, heard_text: str) -> None:
        # Words of another language, written down in this one, are nothing to come back to.
        user_text = "" if self._sayings else self._user_text
        calls = self._generation.calls if self._generation is not None else None
        if isinstance(self._input, ResumedInput):
            calls = None  # The turn that was cut off has them.
        if user_text or heard_text or (calls is not None and calls.rounds):
            self._history.add(Exchange(user_text=user_text, heard_text=heard_text, calls=calls))


async def _settle(drive: Drive) -> Playback:
    """Cut a drive off; one that is lost reports how far it had come."""
    try:
        return await drive.interrupt()
    except ServiceError as error:
        log.warning("drive not settled", reason=error.reason)
        return drive.playback
