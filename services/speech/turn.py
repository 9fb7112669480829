"""One turn: from the user's words to the last sample of the reply that was heard."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TypeAlias

import structlog

from services.runtime.errors import ServiceError, from_exception
from services.runtime.reasons import Reason
from services.speech.dialogue import Dialogue, Exchange, History
from services.speech.events import (
    Event,
    Latency,
    PlaybackStarted,
    ReplyUpdated,
    SentenceStarted,
    TranscriptUpdated,
    TurnFailed,
    TurnFinished,
    TurnOrigin,
    TurnStarted,
)
from services.speech.failures import provider_failure, provider_late
from services.speech.ledger import HeardMethod, Ledger
from services.speech.listening import Utterance
from services.speech.metrics import count_turn
from services.speech.personas import Persona, PersonaLanguage
from services.speech.ports import (
    Drive,
    Playback,
    PlaybackMethod,
    ProviderError,
    Recognizer,
    Speaker,
    Stage,
    Synthesizer,
)
from services.speech.sentences import Segment, split
from services.speech.streams import Deadlines, closing, once, timely
from services.speech.voicing import Voicing
from services.speech.waterfall import Mark, Waterfall

log = structlog.get_logger(__name__)

RECOGNITION = Deadlines(first_s=60, next_s=30, total_s=120)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """The user said something."""

    utterance: Utterance


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The user wrote something; `arrived_at` is a time of the loop's clock."""

    text: str
    arrived_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scripted:
    """The application has something said; `arrived_at` is a time of the loop's clock."""

    text: str
    arrived_at: float


Cause: TypeAlias = Spoken | Written | Scripted


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
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

    The user's words are taken even then. The reply is a pull chain in one inner task: deltas,
    segments, audio, drive. Cancelling that task closes every stage, the innermost first; what was
    heard is then known from the drive.
    """

    def __init__(
        self,
        *,
        turn_id: int,
        cause: Cause,
        manner: Manner,
        stages: Stages,
        speaker: Speaker,
        history: History,
        publish: Callable[[Event], None],
        cut: asyncio.Future[None],
    ) -> None:
        self._turn_id = turn_id
        self._cause = cause
        self._manner = manner
        self._stages = stages
        self._speaker = speaker
        self._history = history
        self._publish = publish
        self._ledger = Ledger(sample_rate_hertz=stages.synthesizer.sample_rate_hertz)
        self._waterfall = Waterfall(_anchor(cause))
        self._user_text = ""
        self._cut = cut

    async def run(self) -> None:
        """Hold the turn; it ends with exactly one TurnFinished or TurnFailed."""
        try:
            # The drive opens while the user's words are recognised and the reply is begun.
            async with self._speaker.open(
                turn_id=self._turn_id,
                sample_rate_hertz=self._stages.synthesizer.sample_rate_hertz,
                watcher=self,
            ) as drive:
                await self._answer(drive)
        except Exception as error:
            self._fail(error, Playback())

    def drive_ready(self) -> None:
        """The drive is open."""
        self._waterfall.reach(Mark.DRIVE_READY)

    def playback_started(self, method: PlaybackMethod) -> None:
        """The reply is heard from now on."""
        self._waterfall.reach(Mark.PLAYBACK_STARTED)
        self._publish(PlaybackStarted(method=method))

    async def _answer(self, drive: Drive) -> None:
        origin = await self._take_words()
        self._publish(
            TurnStarted(
                origin=origin,
                user_text=self._user_text,
                language_code=self._manner.language.language_code,
            )
        )
        reply = asyncio.create_task(self._reply(drive))
        try:
            # One that is cut off before it begins shall not begin.
            if not self._cut.done():
                await asyncio.wait({reply, self._cut}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            reply.cancel()
            await asyncio.wait({reply})
        if reply.cancelled():
            self._finish(await _settle(drive), was_cut=True)
        elif (error := reply.exception()) is not None:
            self._fail(error, drive.playback)
        else:
            self._finish(drive.playback, was_cut=False)

    async def _take_words(self) -> TurnOrigin:
        match self._cause:
            case Spoken(utterance=utterance):
                self._waterfall.reach(Mark.ENDPOINT, utterance.ended_at)
                self._user_text = await self._recognise(utterance)
                self._waterfall.reach(Mark.TRANSCRIPT)
                return TurnOrigin.SPEECH
            case Written(text=text):
                self._user_text = text
                return TurnOrigin.TEXT
            case Scripted():
                return TurnOrigin.SAY

    async def _recognise(self, utterance: Utterance) -> str:
        if not utterance.pcm:
            raise ServiceError(Reason.NO_SPEECH, "No speech was heard.")
        recognizer = self._stages.recognizer
        language_code = self._manner.language.language_code
        hypotheses = recognizer.transcribe(once(utterance.pcm), language_code=language_code)
        text = ""
        try:
            async with closing(timely(hypotheses, RECOGNITION)) as transcripts:
                async for transcript in transcripts:
                    text = transcript.text.strip()
                    if text:
                        self._publish(TranscriptUpdated(text=text, is_final=transcript.is_final))
        except ProviderError as error:
            raise provider_failure(error) from error
        except TimeoutError:
            raise provider_late(Stage.RECOGNITION, recognizer.name) from None
        if not text:
            raise ServiceError(Reason.NO_SPEECH, "No words were heard.")
        return text

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
        voicing = Voicing(
            self._stages.synthesizer,
            voice_id=self._manner.voice_id,
            language_code=self._manner.language.language_code,
        )
        async with closing(split(self._deltas())) as segments:
            async for segment in segments:
                self._waterfall.reach(Mark.FIRST_SENTENCE)
                if not await self._speak(segment, voicing, drive):
                    return
        self._ledger.complete()

    async def _deltas(self) -> AsyncIterator[str]:
        """The reply's text, written down as it comes."""
        async with closing(self._words()) as deltas:
            async for delta in deltas:
                self._waterfall.reach(Mark.FIRST_TOKEN)
                self._ledger.add_text(delta)
                self._publish(ReplyUpdated(delta=delta))
                yield delta
        self._waterfall.reach(Mark.LAST_TOKEN)

    def _words(self) -> AsyncIterator[str]:
        if isinstance(self._cause, Scripted):
            return once(self._cause.text)
        return self._stages.dialogue.reply(
            self._user_text,
            persona=self._manner.persona,
            language=self._manner.language,
            history=self._history,
        )

    async def _speak(self, segment: Segment, voicing: Voicing, drive: Drive) -> bool:
        """Speak a segment; False when the drive is over and nobody will hear more."""
        spoken_text = voicing.spoken_text(segment.text)
        if not spoken_text:
            return True
        is_begun = False
        async with closing(voicing.speak(spoken_text)) as chunks:
            async for chunk in chunks:
                if not is_begun:
                    is_begun = True
                    self._waterfall.reach(Mark.FIRST_AUDIO)
                    audio_s = self._ledger.begin_segment(
                        text_start=segment.start, text_end=segment.end, spoken_text=spoken_text
                    )
                    self._publish(
                        SentenceStarted(
                            text=spoken_text,
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

    def _finish(self, playback: Playback, *, was_cut: bool) -> None:
        summary = self._ledger.summary(playback)
        is_whole = summary.heard.method is HeardMethod.COMPLETE
        if playback.first_sent_time is not None:
            self._waterfall.reach_at_time(Mark.FIRST_PCM_SENT, playback.first_sent_time)
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
        count_turn(outcome, offsets)
        log.info(
            "turn over",
            turn_id=self._turn_id,
            outcome=outcome,
            produced_s=round(summary.produced_s, 2),
            played_s=round(playback.played_s, 2),
            offsets_ms={mark.value: round(at * 1000) for mark, at in offsets.items()},
        )

    def _fail(self, error: BaseException, playback: Playback) -> None:
        seen = from_exception(error)
        if seen is None:
            log.error("turn failed unforeseen", turn_id=self._turn_id, exc_info=error)
            seen = ServiceError(Reason.INTERNAL, "Something went wrong here.")
        heard = self._ledger.heard(playback.played_s, playback.method)
        self._remember(heard.text)
        self._publish(
            TurnFailed(error=seen, reply_text=self._ledger.reply_text, heard_text=heard.text)
        )
        count_turn(seen.reason, self._waterfall.offsets)
        log.warning("turn failed", turn_id=self._turn_id, reason=seen.reason)

    def _remember(self, heard_text: str) -> None:
        if self._user_text or heard_text:
            self._history.add(Exchange(user_text=self._user_text, heard_text=heard_text))


def _anchor(cause: Cause) -> float:
    match cause:
        case Spoken(utterance=utterance):
            return utterance.voiced_at
        case Written(arrived_at=arrived_at) | Scripted(arrived_at=arrived_at):
            return arrived_at


async def _settle(drive: Drive) -> Playback:
    """Cut a drive off; one that is lost tells how far it had come."""
    try:
        return await drive.interrupt()
    except ServiceError as error:
        log.warning("drive not settled", reason=error.reason)
        return drive.playback
