"""Finds in an open microphone what the user says, and what that means for who speaks next."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol, TypeVar

from services.runtime.pcm import duration_s
from services.speech.listening.background import in_background
from services.speech.listening.detector import Utterance, UtteranceDetector
from services.speech.listening.endpointing import Pause, patience_s
from services.speech.listening.hearing import Hearing, OnHypothesis
from services.speech.listening.interruption import UtteranceKind, classify
from services.speech.listening.ports import TurnEndModel, VoiceDetector
from services.speech.listening.rules import ListeningRules
from services.speech.listening.stall import StallTimer
from services.speech.ports.recognition import LISTENING_RATE_HERTZ, Transcript, TurnEnd

T = TypeVar("T")

PROMPTS_IN_A_ROW = 1
VENDOR_PATIENCE = 2.0
"""Where the recogniser detects turn ends, silence ends an utterance that seems unfinished only
after so many times as long: it may have missed the end."""


class Speaking(Enum):
    """What the digital human is doing."""

    SILENT = auto()
    """Nothing: whatever the user says is for it to answer."""
    PREPARING = auto()
    """It is about to speak; nothing is heard yet."""
    ALOUD = auto()


class Floor(Protocol):
    """The conversation as a microphone sees it. Only `dismiss` waits."""

    @property
    def speaking(self) -> Speaking:
        """What the digital human is doing now."""

    @property
    def recent_speech(self) -> str:
        """What it has said in the last seconds: its echo may still come in."""

    def open_hearing(self, on_hypothesis: OnHypothesis, first_s: float) -> Hearing:
        """Begin to hear an utterance, if that takes long once there is so much voice."""

    def note_words(self, transcript: Transcript) -> None:
        """So far the user said this."""

    def note_speech(self, start_s: float) -> None:
        """A voice began."""

    def preempt(self, transcript: Transcript) -> None:
        """So far the user said this and may have finished: a reply may be begun."""

    def withdraw_preemptive_reply(self) -> None:
        """The user goes on."""

    def yield_floor(self) -> None:
        """Fall silent for the user; `dismiss` takes that back."""

    def ask(self, utterance: Utterance, transcript: "asyncio.Task[Transcript]") -> None:
        """The user said something that wants an answer; it may still be being recognised."""

    async def dismiss(self, kind: UtteranceKind, text: str) -> None:
        """It was nothing: go on as if nothing had been heard."""

    def prompt(self) -> None:
        """The user has been silent for long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Assessment:
    """What is found out during a pause."""

    transcript: "asyncio.Task[Transcript]"
    completion: "asyncio.Task[float] | None"

    def pause(self) -> Pause:
        """Return what is known by now."""
        transcript = _known(self.transcript)
        return Pause(
            completion=_known(self.completion),
            text=None if transcript is None else transcript.text,
        )

    def drop(self) -> None:
        """The user goes on: nobody needs the answers."""
        for task in (self.transcript, self.completion):
            if task is not None:
                task.cancel()


def _known(task: "asyncio.Task[T] | None") -> T | None:
    """Return what a task has found out; None when it has not, or never will."""
    if task is None or not task.done() or task.cancelled() or task.exception() is not None:
        return None
    return task.result()


class TurnDetector:
    """Follows one stream by its own clock, the samples: silence must be sent as well.

    An utterance whose audio stops is ended as silence would end it. Recognition and the turn model
    run beside it while audio goes on. Used inside `running`.
    """

    def __init__(
        self,
        *,
        detector: VoiceDetector,
        rules: ListeningRules,
        turn_end: TurnEndModel | None,
        floor: Floor,
        language_code: str,
    ) -> None:
        self._detector = UtteranceDetector(detector, rules)
        self._rules = rules
        self._turn_end = turn_end
        self._floor = floor
        self._language_code = language_code
        self._settling = asyncio.TaskGroup()
        self._hearing: Hearing | None = None
        self._assessment: _Assessment | None = None
        self._kind: UtteranceKind | None = None
        self._began_during = Speaking.SILENT
        self._quiet_s = 0.0
        self._prompts = 0
        self._supply = StallTimer(stalled_s=rules.stalled_s, on_stall=self.finish)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Listen inside the block; leaving it waits until every utterance is settled."""
        try:
            async with self._settling:
                yield
        finally:
            self._supply.close()
            self._drop_assessment()
            if self._hearing is not None:
                self._hearing.drop()

    def push(self, pcm: bytes) -> None:
        """Take the next audio."""
        for frame in self._detector.frames(pcm):
            onset = self._detector.accept(frame)
            if onset is not None:
                self._begin(onset.start_s)
            elif self._hearing is not None:
                self._hearing.push(frame, voiced_s=self._detector.voiced_s)
                self._follow(self._hearing)
            else:
                self._wait(self._detector.frame_s)
        self._detector.forget_silence()
        if self._detector.is_speaking and self._rules.stalled_s:
            self._supply.note(duration_s(len(pcm), LISTENING_RATE_HERTZ))
        else:
            self._supply.close()

    def finish(self) -> None:
        """No more audio comes, now or ever: the utterance under way, if any, is over."""
        if self._detector.is_speaking:
            self._end()

    def _begin(self, start_s: float) -> None:
        self._began_during = self._floor.speaking
        self._kind = None
        self._quiet_s = 0.0
        self._floor.note_speech(start_s)
        if self._began_during is Speaking.PREPARING:
            # Nothing of the reply is heard yet: the user simply goes on.
            self._floor.yield_floor()
        self._hearing = self._begin_utterance()
        self._hearing.push(self._detector.audio(), voiced_s=self._detector.voiced_s)

    def _begin_utterance(self) -> Hearing:
        def judge(transcript: Transcript) -> None:
            if hearing is self._hearing:
                self._judge(transcript)

        hearing = self._floor.open_hearing(judge, self._rules.barge_in_s)
        return hearing

    def _follow(self, hearing: Hearing) -> None:
        silence_s = self._detector.silence_s
        if not hearing.detects_turn_ends:
            if silence_s < self._rules.probe_s:
                self._drop_assessment()
            elif self._assessment is None:
                self._assessment = self._assess(hearing)
        is_unknown = self._floor.speaking is Speaking.ALOUD and self._kind is None
        if is_unknown and self._detector.voiced_s >= self._rules.insist_s:
            # A mere voice cuts the reply off only if it is not recognised in time.
            self._floor.yield_floor()
        if self._is_over(silence_s, hearing):
            self._end()

    def _drop_assessment(self) -> None:
        if self._assessment is not None and self._hearing is not None:
            self._hearing.resume()
            self._assessment.drop()
            self._assessment = None
            self._floor.withdraw_preemptive_reply()

    def _assess(self, hearing: Hearing) -> _Assessment:
        transcript = hearing.pause()
        completion = None
        if self._turn_end is not None:
            pcm = self._detector.audio()
            completion = in_background(self._turn_end.completion_probability(pcm))
        assessment = _Assessment(transcript=transcript, completion=completion)
        transcript.add_done_callback(lambda _: self._preempt(assessment))
        return assessment

    def _preempt(self, assessment: _Assessment) -> None:
        transcript = _known(assessment.transcript)
        if assessment is not self._assessment or transcript is None or not transcript.text:
            return
        if self._floor.speaking is Speaking.SILENT:
            self._floor.preempt(transcript)

    def _is_over(self, silence_s: float, hearing: Hearing) -> bool:
        if self._detector.utterance_s >= self._rules.longest_s:
            return True
        if hearing.detects_turn_ends:
            return silence_s >= VENDOR_PATIENCE * self._rules.incomplete_silence_s
        return self._assessment is not None and silence_s >= patience_s(
            self._assessment.pause(), self._rules
        )

    def _end(self) -> None:
        hearing, self._hearing, self._assessment = self._hearing, None, None
        assert hearing is not None  # There is one for as long as an utterance is under way.
        transcript = hearing.end(self._detector.audio())
        voiced_s = self._detector.voiced_s
        utterance = self._detector.take()
        if _known(transcript) is None and self._began_during is Speaking.SILENT:
            # While it is being recognised, the drive opens.
            self._ask(utterance, transcript)
        else:
            settling = self._settle(utterance, transcript, voiced_s, self._began_during)
            self._settling.create_task(settling)

    async def _settle(
        self,
        utterance: Utterance,
        transcript: "asyncio.Task[Transcript]",
        voiced_s: float,
        began_during: Speaking,
    ) -> None:
        """Answer the utterance if its words ask for that."""
        await asyncio.wait({transcript})
        if transcript.cancelled() or transcript.exception() is not None:
            self._ask(utterance, transcript)
            return
        text = transcript.result().text
        # Short words are doubtful only while a reply is heard.
        is_aside = began_during is Speaking.ALOUD
        kind = self._classify(text, voiced_s if is_aside else math.inf)
        # "Yes" is an answer where nothing else is being said.
        is_answer = kind is UtteranceKind.BACKCHANNEL and began_during is Speaking.SILENT
        if kind is UtteranceKind.WORDS or is_answer:
            self._ask(utterance, transcript)
        else:
            await self._floor.dismiss(kind, text)

    def _ask(self, utterance: Utterance, transcript: "asyncio.Task[Transcript]") -> None:
        self._prompts = 0
        self._floor.ask(utterance, transcript)

    def _judge(self, transcript: Transcript) -> None:
        """Take a hypothesis of the utterance under way."""
        kind = self._classify(transcript.text, self._detector.voiced_s, goes_on=True)
        is_aside = self._floor.speaking is Speaking.ALOUD
        if is_aside:
            self._kind = kind
            if kind is UtteranceKind.WORDS:
                self._floor.yield_floor()
        if kind is UtteranceKind.WORDS or not is_aside:
            self._floor.note_words(transcript)
        match transcript.turn_end:
            case TurnEnd.LIKELY if self._floor.speaking is Speaking.SILENT:
                self._floor.preempt(transcript)
            case TurnEnd.RESUMED:
                self._floor.withdraw_preemptive_reply()
            case TurnEnd.CERTAIN:
                self._end()
            case _:
                pass

    def _classify(self, text: str, voiced_s: float, *, goes_on: bool = False) -> UtteranceKind:
        return classify(
            text,
            voiced_s=voiced_s,
            language_code=self._language_code,
            recent_speech=self._floor.recent_speech,
            goes_on=goes_on,
        )

    def _wait(self, seconds: float) -> None:
        if self._floor.speaking is not Speaking.SILENT or not self._rules.no_speech_s:
            self._quiet_s = 0.0
            return
        self._quiet_s += seconds
        if self._quiet_s >= self._rules.no_speech_s and self._prompts < PROMPTS_IN_A_ROW:
            self._quiet_s = 0.0
            self._prompts += 1
            self._floor.prompt()
