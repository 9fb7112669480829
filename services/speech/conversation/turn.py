"""One turn: from the user's words to the last sample of the reply that was heard."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TypeAlias

import structlog

from services.runtime.errors import ServiceError, from_exception
from services.runtime.reasons import Reason
from services.speech.conversation.events import (
    Event,
    Latency,
    PlaybackStarted,
    SentenceStarted,
    SpeechDismissed,
    TurnFailed,
    TurnFinished,
    TurnOrigin,
    TurnStarted,
)
from services.speech.conversation.growing_text import GrowingText
from services.speech.conversation.transcription import transcribe, transcribed
from services.speech.dialogue.draft import Draft
from services.speech.dialogue.other_language import (
    Saying,
    joined,
    language_at,
    only_language,
    other_language,
)
from services.speech.dialogue.replies import Dialogue, Exchange, History
from services.speech.listening.detector import Utterance
from services.speech.listening.interruption import UtteranceKind
from services.speech.personas.catalogue import Persona, PersonaLanguage
from services.speech.playback.ledger import Heard, HeardMethod, Ledger
from services.speech.playback.voicing import Voicing
from services.speech.ports import (
    Drive,
    Playback,
    PlaybackMethod,
    Recognizer,
    Speaker,
    Synthesizer,
    Transcript,
)
from services.speech.streams import closing, once
from services.speech.telemetry.metrics import DISMISSED_SPEECH, count_turn
from services.speech.telemetry.waterfall import Mark, Waterfall
from services.speech.text.segmentation import Segment, clause_start, split
from services.speech.voices import choose_voice, speaks

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """The user said something.

    `words` is its recognition if that has begun, `draft` a reply that was begun to them, and
    `discarded_replies` counts those that were begun and thrown away before.
    """

    utterance: Utterance
    words: "asyncio.Task[Transcript] | None" = None
    draft: Draft | None = None
    discarded_replies: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The user wrote something; `arrived_at` is a time of the loop's clock.

    What comes again with the same `request_id` is the same; empty: it cannot come again.
    """

    text: str
    arrived_at: float
    request_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scripted:
    """The application has something said; else as `Written`."""

    text: str
    arrived_at: float
    origin: TurnOrigin = TurnOrigin.SAY
    request_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """A reply is taken up again at a character; `arrived_at` is a time of the loop's clock."""

    draft: Draft
    start: int
    arrived_at: float


TurnInput: TypeAlias = Spoken | Written | Scripted | Resumed


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyVoice:
    """Who replies, in which language and voice."""

    persona: Persona
    language: PersonaLanguage
    voice_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """What makes replies."""

    recognizer: Recognizer
    dialogue: Dialogue
    synthesizer: Synthesizer


class Turn:
    """Runs in one task of its owner; when `cut` is done, the reply ends and `run` settles it.

    The user's words are taken even then. The reply is a pull chain in one inner task: segments,
    audio, drive; only its text is written ahead. Cancelling that task closes every stage, the
    innermost first; what was heard is then known from the drive.
    """

    def __init__(
        self,
        *,
        turn_id: int,
        turn_input: TurnInput,
        reply_voice: ReplyVoice,
        stages: Stages,
        speaker: Speaker,
        history: History,
        publish: Callable[[Event], None],
        cut: asyncio.Future[None],
    ) -> None:
        self._turn_id = turn_id
        self._input = turn_input
        self._reply_voice = reply_voice
        self._stages = stages
        self._speaker = speaker
        self._history = history
        self._publish = publish
        self._ledger = Ledger(sample_rate_hertz=stages.synthesizer.sample_rate_hertz)
        self._text = GrowingText(publish)
        self._waterfall = Waterfall(_anchor(turn_input))
        self._draft = turn_input.draft if isinstance(turn_input, Spoken | Resumed) else None
        self._user_text = ""
        self._sayings: tuple[Saying, ...] = ()
        self._cut = cut

    @property
    def is_audible(self) -> bool:
        """Whether the reply is heard."""
        return Mark.PLAYBACK_STARTED in self._waterfall.offsets

    @property
    def reply_text(self) -> str:
        """The reply so far."""
        return self._ledger.reply_text

    async def run(self) -> Resumed | None:
        """Hold the turn; it ends with exactly one TurnFinished or TurnFailed.

        What an open microphone took for an utterance, and proves to be none, is only dismissed.

        Returns how a reply that was cut off may be taken up again; its draft is the caller's to
        close.
        """
        rest = None
        try:
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
            if rest is None and self._draft is not None:
                await self._draft.close()
        return rest

    def drive_ready(self) -> None:
        """The drive is open."""
        self._waterfall.reach(Mark.DRIVE_READY)

    def playback_started(self, method: PlaybackMethod) -> None:
        """The reply is heard from now on."""
        self._waterfall.reach(Mark.PLAYBACK_STARTED)
        self._publish(PlaybackStarted(method=method))

    async def _answer(self, drive: Drive) -> Resumed | None:
        origin = await self._take_words()
        self._publish(self._started(origin))
        reply = asyncio.create_task(self._reply(drive))
        try:
            # One that is cut off before it begins shall not begin.
            if not self._cut.done():
                await asyncio.wait({reply, self._cut}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            reply.cancel()
            await asyncio.wait({reply})
        if reply.cancelled():
            heard = self._finish(await _settle(drive), was_cut=True)
            return self._rest(heard)
        if (error := reply.exception()) is not None:
            self._fail(error, drive.playback)
        else:
            self._finish(drive.playback, was_cut=False)
        return None

    def _started(self, origin: TurnOrigin) -> TurnStarted:
        spoken = self._input if isinstance(self._input, Spoken) else None
        sent = self._input if isinstance(self._input, Written | Scripted) else None
        return TurnStarted(
            origin=origin,
            user_text=self._user_text,
            language_code=self._reply_voice.language.language_code,
            is_preemptive=spoken is not None and spoken.draft is not None,
            discarded_replies=spoken.discarded_replies if spoken is not None else 0,
            request_id=sent.request_id if sent is not None else "",
        )

    def _rest(self, heard: Heard) -> Resumed | None:
        """Return what is left to say from the beginning of the clause that was cut off."""
        if heard.method is HeardMethod.COMPLETE:
            return None
        start = self._input.start if isinstance(self._input, Resumed) else 0
        return Resumed(
            draft=self._begun_draft(),
            start=start + clause_start(self._ledger.reply_text, len(heard.text)),
            arrived_at=asyncio.get_running_loop().time(),
        )

    async def _take_words(self) -> TurnOrigin:
        match self._input:
            case Spoken(utterance=utterance, words=words):
                self._waterfall.reach(Mark.ENDPOINT, utterance.ended_at)
                self._take(await self._transcript(utterance, words))
                self._waterfall.reach(Mark.TRANSCRIPT)
                return TurnOrigin.SPEECH
            case Written(text=written):
                self._take(Transcript(text=written, is_final=True))
                return TurnOrigin.TEXT
            case Scripted(origin=origin):
                return origin
            case Resumed():
                return TurnOrigin.RESUMED

    async def _transcript(
        self, utterance: Utterance, words: "asyncio.Task[Transcript] | None"
    ) -> Transcript:
        if words is not None:
            return await transcribed(words, self._publish)
        return await transcribe(
            utterance,
            self._stages.recognizer,
            language_code=self._reply_voice.language.language_code,
            publish=self._publish,
        )

    def _take(self, heard: Transcript) -> None:
        """Take what the user said; in another language, it is answered by saying so."""
        self._user_text = heard.text
        language = self._reply_voice.language
        if other := other_language(heard, language.language_code):
            self._sayings = tuple(
                each
                for each in only_language(language, other)
                if any(speaks(v, each.language_code) for v in self._stages.synthesizer.voices)
            )

    async def _reply(self, drive: Drive) -> None:
        """Produce the reply and see it played; a part that was produced is played all the same."""
        try:
            await self._produce(drive)
        except ServiceError:
            if self._ledger.produced_s > 0:
                await drive.finish()
            raise
        await drive.finish()

    async def _produce(self, drive: Drive) -> None:
        async with closing(split(self._deltas())) as segments:
            async for segment in segments:
                self._waterfall.reach(Mark.FIRST_SENTENCE)
                if not await self._speak(segment, self._voicing(segment), drive):
                    return
        self._ledger.complete()

    def _voicing(self, segment: Segment) -> Voicing:
        """Return who speaks a segment: of a reply in two languages, each has its own voice."""
        own = self._reply_voice.language.language_code
        language_code = language_at(segment.end, self._sayings) or own
        voice = choose_voice(
            self._stages.synthesizer.voices, language_code, preferred=self._reply_voice.voice_id
        )
        return Voicing(
            self._stages.synthesizer, voice_id=voice.voice_id, language_code=language_code
        )

    async def _deltas(self) -> AsyncIterator[str]:
        """The reply's text, written down as it comes."""
        start = self._input.start if isinstance(self._input, Resumed) else 0
        async with closing(self._begun_draft().deltas(start)) as deltas:
            try:
                async for delta in deltas:
                    self._waterfall.reach(Mark.FIRST_TOKEN)
                    self._ledger.add_text(delta)
                    self._text.add(delta)
                    yield delta
            finally:
                self._text.tell()
        self._waterfall.reach(Mark.LAST_TOKEN)

    def _begun_draft(self) -> Draft:
        if self._draft is None:
            self._draft = Draft(self._words())
        return self._draft

    def _words(self) -> AsyncIterator[str]:
        if isinstance(self._input, Scripted):
            return once(self._input.text)
        if self._sayings:
            return once(joined(self._sayings))
        return self._stages.dialogue.reply(
            self._user_text,
            persona=self._reply_voice.persona,
            language=self._reply_voice.language,
            history=self._history,
        )

    async def _speak(self, segment: Segment, voicing: Voicing, drive: Drive) -> bool:
        """Speak a segment; False when the drive is over and nobody will hear more."""
        spoken = voicing.spoken(segment.text)
        if not spoken.text:
            return True
        is_begun = False
        async with closing(voicing.speak(spoken.text)) as chunks:
            async for chunk in chunks:
                if not is_begun:
                    is_begun = True
                    self._waterfall.reach(Mark.FIRST_AUDIO)
                    audio_s = self._ledger.begin_segment(
                        text_start=segment.start, text_end=segment.end, spoken=spoken
                    )
                    self._text.tell()
                    self._publish(
                        SentenceStarted(
                            text=spoken.text,
                            text_start=segment.start,
                            text_end=segment.end,
                            audio_s=audio_s,
                            words=chunk.words,
                        )
                    )
                self._ledger.add_audio(len(chunk.pcm), chunk.words)
                if not await drive.send(chunk.pcm):
                    return False
        self._ledger.end_segment()
        return True

    def _finish(self, playback: Playback, *, was_cut: bool) -> Heard:
        summary = self._ledger.summary(playback)
        is_whole = summary.heard.method is HeardMethod.COMPLETE
        if playback.first_sent_at is not None:
            self._waterfall.reach(Mark.FIRST_PCM_SENT, playback.first_sent_at)
        finished = TurnFinished(
            reply_text=self._ledger.reply_text,
            heard_text=summary.heard.text,
            is_interrupted=(was_cut or playback.is_interrupted) and not is_whole,
            ledger=summary,
            latency=Latency(
                anchor_time=self._waterfall.anchor_time, offsets=dict(self._waterfall.offsets)
            ),
        )
        self._remember(summary.heard.text)
        self._publish(finished)
        outcome = "interrupted" if finished.is_interrupted else "finished"
        offsets = self._waterfall.offsets
        count_turn(outcome, self._waterfall, turn_id=self._turn_id)
        log.info(
            "turn over",
            turn_id=self._turn_id,
            outcome=outcome,
            produced_s=round(summary.produced_s, 2),
            played_s=round(playback.played_s, 2),
            offsets_ms={mark.value: round(at * 1000) for mark, at in offsets.items()},
        )
        return summary.heard

    def _was_noise(self, error: Exception) -> bool:
        """Whether it was the service, and not the caller, that took noise for an utterance."""
        is_overheard = isinstance(self._input, Spoken) and self._input.words is not None
        return is_overheard and isinstance(error, ServiceError) and error.reason is Reason.NO_SPEECH

    def _fail(self, error: BaseException, playback: Playback) -> None:
        seen = from_exception(error)
        if seen is None:
            log.error("turn failed unforeseen", turn_id=self._turn_id, exc_info=error)
            seen = ServiceError(Reason.INTERNAL, "Something went wrong here.")
        summary = self._ledger.summary(playback)
        self._remember(summary.heard.text)
        self._publish(
            TurnFailed(
                error=seen,
                reply_text=self._ledger.reply_text,
                heard_text=summary.heard.text,
                ledger=summary,
            )
        )
        count_turn(seen.reason, self._waterfall, turn_id=self._turn_id)
        log.warning("turn failed", turn_id=self._turn_id, reason=seen.reason)

    def _remember(self, heard_text: str) -> None:
        # Words of another language, written down in this one, are nothing to come back to.
        user_text = "" if self._sayings else self._user_text
        if user_text or heard_text:
            self._history.add(Exchange(user_text=user_text, heard_text=heard_text))


def _anchor(turn_input: TurnInput) -> float:
    match turn_input:
        case Spoken(utterance=utterance):
            return utterance.voiced_at
        case (
            Written(arrived_at=arrived_at)
            | Scripted(arrived_at=arrived_at)
            | Resumed(arrived_at=arrived_at)
        ):
            return arrived_at


async def _settle(drive: Drive) -> Playback:
    """Cut a drive off; one that is lost tells how far it had come."""
    try:
        return await drive.interrupt()
    except ServiceError as error:
        log.warning("drive not settled", reason=error.reason)
        return drive.playback
