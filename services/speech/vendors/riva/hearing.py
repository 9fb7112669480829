"""What Riva hears of one utterance, and when the speaker has finished."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from riva.proto.riva_asr_pb2 import (
    StreamingRecognitionResult,
    StreamingRecognizeRequest,
    StreamingRecognizeResponse,
)
from services.speech.ports.errors import ProviderError
from services.speech.ports.recognition import TimedWord, Transcript, TurnEnd
from services.speech.ports.stages import Stage
from services.speech.vendors.hearing import Sentences
from services.speech.vendors.riva.calls import RivaCall


class CallTranscripts:
    """What is heard of one utterance; if it `ends_turns`, the first pause that counts ends it."""

    def __init__(
        self,
        call: RivaCall[StreamingRecognizeRequest, StreamingRecognizeResponse],
        provider: str,
        *,
        ends_turns: bool,
    ) -> None:
        self._call = call
        self._provider = provider
        self._ends_turns = ends_turns
        self._sentences = Sentences()
        self._is_sound_finished = False
        self._changing = ""
        """The text of a sentence that is not complete."""
        self._likely: str | None = None
        """That text at what was a likely end."""

    async def finish(self) -> None:
        """End the sound."""
        self._is_sound_finished = True
        await self._call.finish()

    async def transcripts(self) -> AsyncIterator[Transcript]:
        """Yield hypotheses, and the final transcript at the end of the turn or the call."""
        async for response in self._call.responses():
            complete = [result for result in response.results if result.is_final]
            changing = [result for result in response.results if not result.is_final]
            for result in complete:
                transcript = self._sentences.add(_sentence([result]))
                self._changing, self._likely = "", None
                if transcript.text and self._hears_ends:
                    yield self._sentences.final(TurnEnd.CERTAIN)
                    return
                yield transcript
            if changing:
                yield self._hypothesis(changing)
        if self._changing or not self._is_sound_finished:
            what = "the call ends before its transcript"
            raise ProviderError(Stage.RECOGNITION, self._provider, what, transient=True)
        yield self._sentences.final()

    @property
    def _hears_ends(self) -> bool:
        return self._ends_turns and not self._is_sound_finished

    def _hypothesis(self, results: Sequence[StreamingRecognitionResult]) -> Transcript:
        """Return the utterance so far, and whether it has perhaps ended: Riva is sure of it all."""
        sentence = _sentence(results)
        self._changing = sentence.text
        turn_end = None
        if self._hears_ends and sentence.text and all(each.stability >= 1 for each in results):
            turn_end = TurnEnd.LIKELY if self._likely is None else None
            self._likely = sentence.text
        elif self._likely is not None and sentence.text != self._likely:
            turn_end = TurnEnd.RESUMED
            self._likely = None
        return replace(self._sentences.with_partial(sentence), turn_end=turn_end)


def _sentence(results: Sequence[StreamingRecognitionResult]) -> Transcript:
    """Return what results say one after the other, by the likeliest alternative of each."""
    heard = [each.alternatives[0] for each in results if each.alternatives]
    codes = [code for each in heard for code in each.language_code]
    return Transcript(
        text="".join(each.transcript for each in heard).strip(),
        is_final=False,
        words=tuple(
            TimedWord(text=word.word, start_s=word.start_time / 1000, end_s=word.end_time / 1000)
            for each in heard
            for word in each.words
        ),
        language_code=codes[-1] if codes else "",
    )
