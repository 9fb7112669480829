"""One Converse stream: what its caller sends becomes turns of the conversation."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TypeAlias

from digitalhuman.speech.v1 import speech_pb2 as pb
from services.runtime.errors import invalid
from services.speech.conversation.conversation import Asked, Conversation, Priority
from services.speech.conversation.event_log import Listener
from services.speech.conversation.turn import ReplyVoice, Scripted, Spoken, Written
from services.speech.listening.push_to_talk import PushToTalk
from services.speech.listening.turn_detector import TurnDetector
from services.speech.listening.wire import check_pcm
from services.speech.ports import Speaker

AudioInput: TypeAlias = PushToTalk | TurnDetector

_PRIORITIES = {
    pb.SAY_PRIORITY_UNSPECIFIED: Priority.NORMAL,
    pb.SAY_PRIORITY_LOW: Priority.LOW,
    pb.SAY_PRIORITY_NORMAL: Priority.NORMAL,
    pb.SAY_PRIORITY_HIGH: Priority.HIGH,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A stream's part in a conversation, in which it hears of the events after `joined_after`.

    `audio_input` is None when its setup names no input format. `asked` are the turns that it began,
    as far as they are to end with it.
    """

    conversation: Conversation
    listener: Listener
    joined_after: int
    reply_voice: ReplyVoice
    speaker: Speaker
    audio_input: AudioInput | None
    cuts_on_cancel: bool
    asked: list[Asked] = field(default_factory=list)

    def abandon(self) -> None:
        """The caller went away before the end."""
        for asked in self.asked:
            self.conversation.take_back(asked)

    async def read(self, requests: AsyncIterator[pb.ConverseRequest]) -> None:
        """Take all requests, wait for the last turn, and close the listener with the outcome."""
        try:
            async with self._listening():
                async for request in requests:
                    if request.HasField("leave"):
                        linger = request.leave.linger_duration.ToTimedelta()
                        self.conversation.linger_s = linger.total_seconds()
                        self.listener.close()
                        return
                    self._take(request)
                if isinstance(self.audio_input, TurnDetector):
                    self.audio_input.finish()
            await self.conversation.settled()
            await self.conversation.events.all_told()
        except Exception as error:
            self.listener.fail(error)
        else:
            self.listener.close()

    def _listening(self) -> AbstractAsyncContextManager[None]:
        return (
            self.audio_input.running()
            if isinstance(self.audio_input, TurnDetector)
            else nullcontext()
        )

    def _take(self, request: pb.ConverseRequest) -> None:
        match request.WhichOneof("request"):
            case "audio":
                self._take_audio(check_pcm(request.audio.pcm, "audio.pcm"))
            case "commit":
                self._commit()
            case "text":
                written = Written(
                    text=request.text.text.strip(),
                    arrived_at=_now(),
                    request_id=request.text.request_id,
                )
                self._note(
                    self.conversation.ask(
                        written, reply_voice=self.reply_voice, speaker=self.speaker
                    )
                )
            case "say":
                said = self.conversation.say(
                    Scripted(
                        text=request.say.text.strip(),
                        arrived_at=_now(),
                        request_id=request.say.request_id,
                    ),
                    priority=_PRIORITIES[request.say.priority],
                    reply_voice=self.reply_voice,
                    speaker=self.speaker,
                )
                self._note(said)
            case "interrupt":
                self.conversation.interrupt()

    def _note(self, asked: Asked | None) -> None:
        if asked is not None and self.cuts_on_cancel:
            self.asked.append(asked)

    def _take_audio(self, pcm: bytes) -> None:
        match self.audio_input:
            case None:
                raise invalid("setup.input_format", "required", "is required before `audio`")
            case PushToTalk() as button:
                onset = button.push(pcm)
                if onset is not None:
                    # Who holds the button wants to be heard.
                    self.conversation.note_speech(onset.start_s, speaker=self.speaker)
                    self.conversation.cut_reply()
            case TurnDetector() as microphone:
                microphone.push(pcm)

    def _commit(self) -> None:
        match self.audio_input:
            case TurnDetector():
                raise invalid("commit", "manual_only", "needs turn_detection MANUAL")
            case PushToTalk() as button if (utterance := button.commit()) is not None:
                spoken = Spoken(utterance=utterance)
                self._note(
                    self.conversation.ask(
                        spoken, reply_voice=self.reply_voice, speaker=self.speaker
                    )
                )
            case PushToTalk():
                # A button that was pressed and let go at once.
                self.conversation.note_silence()
            case None:
                raise invalid("setup.input_format", "required", "is required before `commit`")


def _now() -> float:
    return asyncio.get_running_loop().time()
