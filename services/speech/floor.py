"""A stream's part in who speaks next: what its microphone finds becomes turns."""

import asyncio

from services.speech.conversation import Conversation, Guess, Priority
from services.speech.events import TurnOrigin
from services.speech.languages import other_language
from services.speech.listening import Utterance
from services.speech.metrics import DISCARDED_REPLIES, DISMISSED_SPEECH, PREEMPTIVE_REPLIES
from services.speech.microphone import Speaking
from services.speech.ports import Recognizer, Speaker, Transcript
from services.speech.recognition import recognise
from services.speech.remarks import Remark
from services.speech.turn import Manner, Scripted, Spoken


class StreamFloor:
    """Keeps the reply that is begun ahead, until the user goes on or has finished."""

    def __init__(
        self,
        *,
        conversation: Conversation,
        manner: Manner,
        speaker: Speaker,
        recognizer: Recognizer,
    ) -> None:
        self._conversation = conversation
        self._manner = manner
        self._speaker = speaker
        self._recognizer = recognizer
        self._guess: Guess | None = None
        self._discarded = 0

    @property
    def speaking(self) -> Speaking:
        """What the digital human is doing now."""
        return self._conversation.speaking

    @property
    def recent_speech(self) -> str:
        """What it says, or said until a moment ago."""
        return self._conversation.recent_speech

    async def recognise(self, pcm: bytes) -> Transcript:
        """Return the words of an utterance; raises ServiceError."""
        language_code = self._manner.language.language_code
        return await recognise(self._recognizer, pcm, language_code=language_code)

    def note_speech(self, start_s: float) -> None:
        """A voice began."""
        self._conversation.note_speech(start_s, speaker=self._speaker)

    def guess(self, words: Transcript) -> None:
        """Begin the reply to what may be all of the user's words."""
        self.withdraw_guess()
        # To another language there is nothing to be thought about.
        if not other_language(words, self._manner.language.language_code):
            self._guess = self._conversation.guess(words.text, manner=self._manner)

    def withdraw_guess(self) -> None:
        """Throw the reply away: the user goes on."""
        if self._guess is not None:
            self._guess.draft.drop()
            self._guess = None
            self._discarded += 1
            DISCARDED_REPLIES.inc()

    def yield_floor(self) -> None:
        """Fall silent for the user."""
        self._conversation.yield_floor()

    def ask(self, utterance: Utterance, words: "asyncio.Task[Transcript]") -> None:
        """Have the utterance answered, with the reply that is begun if it still fits."""
        if self._guess is not None and self._guess.turn_id != self._conversation.next_turn_id:
            self.withdraw_guess()
        spoken = Spoken(
            utterance=utterance,
            words=words,
            draft=self._guess.draft if self._guess is not None else None,
            discarded_replies=self._discarded,
        )
        if self._guess is not None:
            PREEMPTIVE_REPLIES.inc()
        self._guess, self._discarded = None, 0
        self._conversation.ask(spoken, manner=self._manner, speaker=self._speaker)

    async def dismiss(self, remark: Remark, text: str) -> None:
        """Go on as if nothing had been said."""
        self.withdraw_guess()
        DISMISSED_SPEECH.labels(remark=remark).inc()
        await self._conversation.dismiss(remark, text, speaker=self._speaker)

    def prompt(self) -> None:
        """Ask a user who has been silent for long."""
        self._prompt(self._manner.language.no_speech_prompt)

    def warn(self) -> None:
        """Announce to a silent user that the call is about to end."""
        self._prompt(self._manner.language.hang_up_warning)

    def _prompt(self, text: str) -> None:
        scripted = Scripted(
            text=text,
            arrived_at=asyncio.get_running_loop().time(),
            origin=TurnOrigin.PROMPT,
        )
        self._conversation.say(
            scripted, priority=Priority.LOW, manner=self._manner, speaker=self._speaker
        )
