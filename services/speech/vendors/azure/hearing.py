"""What Azure hears of one utterance, phrase by phrase, and when the speaker has finished."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from services.speech.ports.errors import ProviderError, ProviderQuotaError
from services.speech.ports.recognition import TimedWord, Transcript, TurnEnd
from services.speech.ports.stages import Stage
from services.speech.vendors.azure.messages import TICKS_PER_S, Message
from services.speech.vendors.azure.turns import AzureTurn
from services.speech.vendors.hearing import Sentences

_REFUSED = frozenset(("BadRequest", "Forbidden", "InvalidMessage"))
_FAILED = frozenset(("Error", "ServiceError", "ServiceTimeout", "ServiceUnavailable"))


class TurnTranscripts:
    """What is heard of one utterance; `silence_s` after a phrase ends the turn, None: never."""

    def __init__(self, turn: AzureTurn, provider: str, *, silence_s: float | None) -> None:
        self._turn = turn
        self._silence_s = silence_s
        self._provider = provider
        self._sentences = Sentences()
        self._is_sound_finished = False
        self._is_end_likely = False
        self._is_end_detected = False

    async def finish(self) -> None:
        """End the sound."""
        self._is_sound_finished, self._is_end_likely = True, False
        await self._turn.send_sound(b"")

    async def transcripts(self) -> AsyncIterator[Transcript]:
        """Yield hypotheses, and the final transcript at the end of the turn.

        While sound flows, a phrase that nothing follows for a while is one, too, and so is an end
        of speech that Azure detects, before or after its phrase.
        """
        while not self._turn.is_finished and not (self._is_end_detected and self._is_end_likely):
            try:
                async with asyncio.timeout(self._silence_s if self._is_end_likely else None):
                    message = await self._turn.receive()
            except TimeoutError:
                if self._is_end_likely:
                    break
                continue  # The sound has ended meanwhile.
            match message.path:
                case "speech.hypothesis":
                    yield self._hypothesis(message)
                case "speech.phrase":
                    if phrase := self._phrase(message):
                        yield phrase
                case "speech.enddetected":
                    self._is_end_detected = True
        turn_end = None if self._is_sound_finished else TurnEnd.CERTAIN
        yield self._sentences.final(turn_end)

    def _hypothesis(self, message: Message) -> Transcript:
        document = self._turn.document(message)
        sentence = Transcript(
            text=str(document.get("Text", "")), is_final=False, language_code=_language(document)
        )
        turn_end = TurnEnd.RESUMED if self._is_end_likely else None
        self._is_end_likely = self._is_end_detected = False
        return replace(self._sentences.with_partial(sentence), turn_end=turn_end)

    def _phrase(self, message: Message) -> Transcript | None:
        document = self._turn.document(message)
        status = document.get("RecognitionStatus")
        if status != "Success":
            self._check(str(status))
            return None
        try:
            sentence = _sentence(document)
        except (TypeError, KeyError, IndexError, AttributeError, ValueError):
            raise self._turn.malformed("a phrase of another shape") from None
        if not sentence.text:
            return None
        self._is_end_likely = self._silence_s is not None and not self._is_sound_finished
        turn_end = TurnEnd.LIKELY if self._is_end_likely else None
        return replace(self._sentences.add(sentence), turn_end=turn_end)

    def _check(self, status: str) -> None:
        what = "the provider does not recognize"
        if status == "TooManyRequests":
            raise ProviderQuotaError(Stage.RECOGNITION, self._provider, what, vendor_message=status)
        if status in _REFUSED or status in _FAILED:
            raise ProviderError(
                Stage.RECOGNITION,
                self._provider,
                what,
                transient=status in _FAILED,
                vendor_message=status,
            )


def _language(document: Any) -> str:
    found = document.get("PrimaryLanguage")
    return str(found.get("Language", "")) if isinstance(found, dict) else ""


def _sentence(document: Any) -> Transcript:
    best = document["NBest"][0] if "NBest" in document else {"Display": document["DisplayText"]}
    return Transcript(
        text=str(best["Display"]),
        is_final=False,
        words=tuple(
            TimedWord(
                text=str(word["Word"]),
                start_s=word["Offset"] / TICKS_PER_S,
                end_s=(word["Offset"] + word["Duration"]) / TICKS_PER_S,
            )
            for word in best.get("Words") or ()
        ),
        language_code=_language(document),
    )
