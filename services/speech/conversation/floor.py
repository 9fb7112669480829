"""A stream's part in who speaks next: what is found in its audio becomes turns."""

import asyncio
from dataclasses import replace

from services.speech.conversation.conversation import Conversation, Priority
from services.speech.conversation.events import TurnOrigin
from services.speech.conversation.reply import ReplyVoice
from services.speech.conversation.turn_input import PreemptiveReply, ScriptedInput, SpokenInput
from services.speech.dialogue.other_language import other_language
from services.speech.listening.detector import Utterance
from services.speech.listening.hearing import Hearing, OnHypothesis, hearing_of
from services.speech.listening.interruption import UtteranceKind
from services.speech.listening.turn_detector import Speaking
from services.speech.playback.ports import Speaker
from services.speech.ports.recognition import Recognizer, Transcript
from services.speech.telemetry.metrics import (
    DISCARDED_REPLIES,
    DISMISSED_SPEECH,
    PREEMPTIVE_REPLIES,
)


class StreamFloor:
    """Keeps the reply that is begun ahead, until the user goes on or has finished."""

    def __init__(
        self,
        *,
        conversation: Conversation,
        reply_voice: ReplyVoice,
        speaker: Speaker,
        recognizer: Recognizer,
    ) -> None:
        self._conversation = conversation
        self._reply_voice = reply_voice
        self._speaker = speaker
        self._recognizer = recognizer
        self._preemptive: PreemptiveReply | None = None
        self._discarded = 0
        self._noted_words = ""

    @property
    def _now_speaking(self) -> ReplyVoice:
        return self._conversation.now_speaking(self._reply_voice)

    @property
    def speaking(self) -> Speaking:
        """What the digital human is doing now."""
        return self._conversation.speaking

    @property
    def recent_speech(self) -> str:
        """What the digital human says, or said until a moment ago."""
        return self._conversation.recent_speech

    def open_hearing(self, on_hypothesis: OnHypothesis, first_s: float) -> Hearing:
        """Begin to hear an utterance, if that takes long once there is so much voice."""
        self._noted_words = ""
        known = self._conversation.in_call(self._now_speaking)
        request = replace(known.recognition, on_usage=self._conversation.usage.add)
        return hearing_of(self._recognizer, request, on_hypothesis, first_s)

    def note_words(self, transcript: Transcript) -> None:
        """The user has said this so far, which is news only if it differs from before."""
        if transcript.text and transcript.text != self._noted_words:
            self._noted_words = transcript.text
            self._conversation.note_words(transcript.text)

    def note_speech(self, start_s: float) -> None:
        """A voice began."""
        self._conversation.note_speech(start_s, speaker=self._speaker)

    def preempt(self, transcript: Transcript) -> None:
        """Begin the reply to what may be everything that the user says."""
        self.withdraw_preemptive_reply()
        reply_voice = self._now_speaking.answering(transcript)
        # A language that nobody speaks is answered without a model.
        if not other_language(transcript, reply_voice.language.language_code):
            self._preemptive = self._conversation.preempt(transcript.text, reply_voice=reply_voice)

    def withdraw_preemptive_reply(self) -> None:
        """Throw the reply away: the user goes on."""
        if self._preemptive is not None:
            self._preemptive.generation.cancel()
            self._preemptive = None
            self._discarded += 1
            DISCARDED_REPLIES.inc()

    def yield_floor(self) -> None:
        """Fall silent for the user."""
        self._conversation.yield_floor()

    def ask(self, utterance: Utterance, transcript: "asyncio.Task[Transcript]") -> None:
        """Have the utterance answered, with the reply that is begun if it still fits."""
        preemptive = self._preemptive
        if preemptive is not None and preemptive.turn_id != self._conversation.next_turn_id:
            self.withdraw_preemptive_reply()
        spoken = SpokenInput(
            utterance=utterance,
            transcript=transcript,
            preemptive=self._preemptive,
            discarded_replies=self._discarded,
        )
        if self._preemptive is not None:
            PREEMPTIVE_REPLIES.inc()
        self._preemptive, self._discarded = None, 0
        self._conversation.ask(spoken, reply_voice=self._reply_voice, speaker=self._speaker)

    async def dismiss(self, kind: UtteranceKind, text: str) -> None:
        """Go on as if nothing had been said."""
        self.withdraw_preemptive_reply()
        DISMISSED_SPEECH.labels(remark=kind).inc()
        await self._conversation.dismiss(kind, text, speaker=self._speaker)

    def prompt(self) -> None:
        """Ask a user who has been silent for long."""
        self._prompt(self._now_speaking.language.no_speech_prompt)

    def warn(self) -> None:
        """Announce to a silent user that the call is about to end."""
        self._prompt(self._now_speaking.language.hang_up_warning)

    def _prompt(self, text: str) -> None:
        prompt = ScriptedInput(
            text=text,
            arrived_at=asyncio.get_running_loop().time(),
            origin=TurnOrigin.PROMPT,
        )
        self._conversation.say(
            prompt, priority=Priority.LOW, reply_voice=self._reply_voice, speaker=self._speaker
        )
