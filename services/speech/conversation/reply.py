"""A reply in the making: its text becomes segments, each of them audio, which goes to a drive."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias, assert_never

from services.runtime.failures.errors import ServiceError
from services.runtime.languages import primary
from services.speech.conversation.events import Event, SentenceStarted
from services.speech.conversation.fillers import FillerChoice, Fillers
from services.speech.conversation.reply_updates import ReplyUpdates
from services.speech.conversation.sentences import sentences
from services.speech.dialogue.call import (
    NOTHING_KNOWN,
    CallFacts,
    in_call,
    tools_in_call,
    values_in_call,
)
from services.speech.dialogue.generation import Generation
from services.speech.dialogue.other_language import LocalizedText, language_at, used_language
from services.speech.personas.catalogue import Persona, PersonaLanguage
from services.speech.personas.tool_format import ToolsTable
from services.speech.personas.variables import filled
from services.speech.playback.ledger import Ledger
from services.speech.playback.ports import Drive
from services.speech.playback.voicing import Voicing
from services.speech.ports.recognition import RecognitionRequest, Transcript
from services.speech.ports.synthesis import SpeechChunk, SpeechRequest, Synthesizer, Voice
from services.speech.ports.usage import OnUsage
from services.speech.streams import closing
from services.speech.telemetry.waterfall import Mark, Waterfall
from services.speech.text.segmentation import Segment, split
from services.speech.tools.tool import ToolsOfCall
from services.speech.voices import choose_voice, speaks

Spoken: TypeAlias = SentenceStarted | SpeechChunk


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyVoice:
    """Who replies, in which language and voice.

    `others` are the same persona in its other languages, where the user chooses by speaking.
    """

    persona: Persona
    language: PersonaLanguage
    voice_id: str
    is_voice_chosen: bool = False
    """Whether the stream's caller chose the voice, rather than the call or the persona."""
    facts: CallFacts = NOTHING_KNOWN
    others: tuple["ReplyVoice", ...] = ()

    @property
    def recognition(self) -> RecognitionRequest:
        """What a recognizer is told about the user's words."""
        spoken = (self, *self.others)
        return RecognitionRequest(
            language_codes=tuple(each.language.language_code for each in spoken),
            hot_words=tuple(dict.fromkeys((*self.facts.hot_words, *self.language.hot_words))),
        )

    def in_call(self, facts: CallFacts, voices: Sequence[Voice]) -> "ReplyVoice":
        """Return who replies in a call of which so much is known."""
        called = any(
            each.voice_id == facts.voice_id and speaks(each, self.language.language_code)
            for each in voices
        )
        return replace(
            self,
            language=in_call(self.persona, self.language, facts),
            voice_id=facts.voice_id if called and not self.is_voice_chosen else self.voice_id,
            facts=facts,
            others=tuple(each.in_call(facts, voices) for each in self.others),
        )

    @property
    def is_greeting_interruptible(self) -> bool:
        """Whether the user can cut off the greeting."""
        chosen = self.facts.is_greeting_interruptible
        return self.persona.is_greeting_interruptible if chosen is None else chosen

    @property
    def tools(self) -> ToolsOfCall:
        """What the call says of tools."""
        return tools_in_call(self.persona, self.facts)

    def filled(self, text: str) -> str:
        """Return a text of the persona with what is known of the call."""
        return filled(text, values_in_call(self.persona, self.facts))

    def speaking(self, language_code: str) -> "ReplyVoice":
        """Return who replies in a language, if that is one of these."""
        for other in self.others:
            if primary(other.language.language_code) == primary(language_code):
                alone = replace(self, others=())
                rest = tuple(each for each in self.others if each is not other)
                return replace(other, others=(alone, *rest))
        return self

    def answering(self, transcript: Transcript) -> "ReplyVoice":
        """Return who replies to this: in the language that was used, if that is one of these."""
        if not self.others:
            return self
        return self.speaking(used_language(transcript, self.language.language_code))


class Reply:
    """A pull chain: the drive takes audio, audio takes segments; only the text is generated ahead.

    Cancelling the task that plays it closes every stage, the innermost first. The ledger knows what
    became of it. `sayings` are the parts of a text whose language changes within it.
    """

    def __init__(
        self,
        *,
        generation: Generation,
        start: int,
        sayings: tuple[LocalizedText, ...],
        reply_voice: ReplyVoice,
        synthesizer: Synthesizer,
        ledger: Ledger,
        waterfall: Waterfall,
        publish: Callable[[Event], None],
        on_usage: OnUsage,
        filler_choice: FillerChoice,
        gesture: Callable[[str], Awaitable[None]],
    ) -> None:
        self._generation = generation
        self._filler_choice = filler_choice
        self._gesture = gesture
        self._start = start
        self._sayings = sayings
        self._reply_voice = reply_voice
        self._synthesizer = synthesizer
        self._ledger = ledger
        self._waterfall = waterfall
        self._publish = publish
        self._on_usage = on_usage
        self._updates = ReplyUpdates(publish)

    async def play(self, drive: Drive) -> None:
        """Produce the reply and see it played; what was produced before a failure is played too.

        Raises ServiceError.
        """
        try:
            await self._produce(drive)
        except ServiceError:
            if self._ledger.produced_s > 0:
                await drive.finish()
            raise
        await drive.finish()

    async def _produce(self, drive: Drive) -> None:
        async with closing(self._covered(self._spoken(), drive)) as items:
            async for item in items:
                match item:
                    case SentenceStarted():
                        self._waterfall.reach(Mark.FIRST_AUDIO)
                        self._updates.flush()
                        self._publish(item)
                    case SpeechChunk(pcm=pcm):
                        if pcm and not await drive.send(pcm):
                            return  # The drive is over, and nobody will hear more.
                    case _:
                        assert_never(item)
        self._ledger.complete()

    async def _spoken(self) -> AsyncIterator[Spoken]:
        """Yield what is spoken; the voice gets ready from the first token on."""
        own = self._reply_voice.language.language_code
        first = self._sayings[0].language_code if self._sayings else own
        expected = self._voicing_in(first) if await self._generation.is_begun() else None
        spoken = sentences(self._segments(), self._voicing, self._ledger, expected=expected)
        async with closing(spoken) as items:
            async for item in items:
                yield item

    def _covered(self, items: AsyncIterator[Spoken], drive: Drive) -> AsyncIterator[Spoken]:
        """Return the same items; while a tool keeps them waiting, the drive gets fillers."""
        persona, language = self._reply_voice.persona, self._reply_voice.language
        if persona.tools is None and not self._reply_voice.facts.client_tools:
            return items
        tools = persona.tools or ToolsTable()
        fillers = Fillers(
            calls=self._generation.calls,
            choice=self._filler_choice,
            texts=language.tool_fillers,
            after_s=tools.filler_after_s,
            gesture=partial(self._make_gesture, tools.gesture),
            voicing=self._voicing_in(language.language_code),
            ledger=self._ledger,
        )
        return fillers.covering(items, drive)

    async def _make_gesture(self, action: str | None) -> None:
        if action is not None:
            await self._gesture(action)

    async def _segments(self) -> AsyncIterator[Segment]:
        async with closing(split(self._deltas())) as segments:
            async for segment in segments:
                self._waterfall.reach(Mark.FIRST_SENTENCE)
                yield segment

    async def _deltas(self) -> AsyncIterator[str]:
        """Yield the text, noting it in the ledger as it comes."""
        async with closing(self._generation.deltas(self._start)) as deltas:
            try:
                async for delta in deltas:
                    self._waterfall.reach(Mark.FIRST_TOKEN)
                    self._ledger.add_text(delta)
                    self._updates.add(delta)
                    yield delta
            finally:
                self._updates.flush()
        self._waterfall.reach(Mark.LAST_TOKEN)

    def _voicing(self, segment: Segment) -> Voicing:
        """Return who speaks a segment: each language of a reply in two has a voice of its own."""
        own = self._reply_voice.language.language_code
        return self._voicing_in(language_at(segment.end, self._sayings) or own)

    def _voicing_in(self, language_code: str) -> Voicing:
        voice = choose_voice(
            self._synthesizer.voices, language_code, preferred=self._reply_voice.voice_id
        )
        language = self._reply_voice.language
        request = SpeechRequest(
            voice_id=voice.voice_id,
            language_code=language_code,
            speed=language.speed,
            style=language.style,
            emotion=language.emotion,
            on_usage=self._on_usage,
        )
        return Voicing(synthesizer=self._synthesizer, request=request)
