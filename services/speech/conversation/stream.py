"""One Converse stream: what its caller sends becomes turns of the conversation."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import assert_never

from digitalhuman.conversation.v1 import conversation_pb2
from digitalhuman.speech.v1 import speech_pb2 as pb
from services.runtime.failures.errors import invalid
from services.runtime.wire import from_duration
from services.speech.conversation.conversation import Conversation, Priority
from services.speech.conversation.event_log import Listener
from services.speech.conversation.reply import ReplyVoice
from services.speech.conversation.turn_input import ScriptedInput, SpokenInput, WrittenInput
from services.speech.conversation.turn_queue import QueuedTurn
from services.speech.listening.audio_input import AudioInput
from services.speech.listening.push_to_talk import PushToTalk
from services.speech.listening.turn_detector import TurnDetector
from services.speech.listening.wire import check_pcm
from services.speech.playback.ports import Speaker

_PRIORITIES = {
    pb.SAY_PRIORITY_UNSPECIFIED: Priority.NORMAL,
    pb.SAY_PRIORITY_LOW: Priority.LOW,
    pb.SAY_PRIORITY_NORMAL: Priority.NORMAL,
    pb.SAY_PRIORITY_HIGH: Priority.HIGH,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConverseStream:
    """A stream's part in a conversation.

    Its caller gets `ready`, the `backlog` of events that it missed, and then what the listener
    hears. `audio_input` is None when its setup names no input format. `withdrawn_on_cancel` are
    the turns that it began, if they are to end with it.
    """

    conversation: Conversation
    listener: Listener
    ready: pb.ConverseReady
    backlog: Sequence[conversation_pb2.ConversationEvent]
    reply_voice: ReplyVoice
    speaker: Speaker
    audio_input: AudioInput | None
    cuts_on_cancel: bool
    withdrawn_on_cancel: list[QueuedTurn] = field(default_factory=list)

    def cancel(self) -> None:
        """The caller went away before the end."""
        for turn in self.withdrawn_on_cancel:
            self.conversation.withdraw(turn)

    async def read(self, requests: AsyncIterator[pb.ConverseRequest]) -> None:
        """Take all requests, wait for the last turn, and close the listener with the outcome."""
        try:
            async with self._listening():
                async for request in requests:
                    if request.HasField("leave"):
                        linger = request.leave.linger_duration
                        self.conversation.linger_s = from_duration(linger)
                        self._close()
                        return
                    if request.HasField("greet"):
                        await self.conversation.greet(
                            reply_voice=self.reply_voice, speaker=self.speaker
                        )
                    else:
                        self._take(request)
                if isinstance(self.audio_input, TurnDetector):
                    self.audio_input.finish()
            self.listener.is_leaving = True
            await self.conversation.settled()
            await self.conversation.events.all_delivered()
        except Exception as error:
            self._close(error)
        else:
            self._close()

    def _close(self, error: Exception | None = None) -> None:
        """The caller gets what has happened so far, and then the end."""
        self.conversation.events.deliver()
        self.listener.close(error)

    def _listening(self) -> AbstractAsyncContextManager[None]:
        return nullcontext() if self.audio_input is None else self.audio_input.running()

    def _take(self, request: pb.ConverseRequest) -> None:
        match request.WhichOneof("request"):
            case "audio":
                self._take_audio(check_pcm(request.audio.pcm, "audio.pcm"))
            case "commit":
                self._commit()
            case "text":
                self._ask(
                    WrittenInput(
                        text=request.text.text.strip(),
                        arrived_at=_now(),
                        request_id=request.text.request_id,
                    )
                )
            case "say":
                self._say(request.say)
            case "interrupt":
                self.conversation.interrupt()
            case "withdraw":
                self.conversation.take_back(request.withdraw.request_id)
            case "tool_result":
                answer = request.tool_result
                self.conversation.calls.client.answer(
                    answer.call_id, answer.result, is_error=answer.failed
                )
            case "setup" | "leave" | "greet" | None:
                pass  # None of them comes here, and an empty request is refused before.
            case unknown:
                assert_never(unknown)

    def _ask(self, turn_input: SpokenInput | WrittenInput) -> None:
        self._note(
            self.conversation.ask(turn_input, reply_voice=self.reply_voice, speaker=self.speaker)
        )

    def _say(self, say: pb.ConverseSay) -> None:
        scripted = ScriptedInput(
            text=say.text.strip(),
            arrived_at=_now(),
            request_id=say.request_id,
            is_interruptible=say.interruptible or not say.HasField("interruptible"),
        )
        self._note(
            self.conversation.say(
                scripted,
                priority=_PRIORITIES[say.priority],
                reply_voice=self.reply_voice,
                speaker=self.speaker,
            )
        )

    def _note(self, turn: QueuedTurn | None) -> None:
        if turn is not None and self.cuts_on_cancel:
            self.withdrawn_on_cancel.append(turn)

    def _take_audio(self, pcm: bytes) -> None:
        match self.audio_input:
            case None:
                raise invalid("setup.input_format", "required", "is required before `audio`")
            case PushToTalk() as button:
                if (onset := button.push(pcm)) is not None:
                    # Whoever holds the button wants to be heard.
                    self.conversation.note_speech(onset.start_s, speaker=self.speaker)
                    self.conversation.cut_reply()
            case TurnDetector() as turn_detector:
                turn_detector.push(pcm)
            case _:
                assert_never(self.audio_input)

    def _commit(self) -> None:
        match self.audio_input:
            case None:
                raise invalid("setup.input_format", "required", "is required before `commit`")
            case PushToTalk() as button:
                if (committed := button.commit()) is not None:
                    self._ask(
                        SpokenInput(
                            utterance=committed.utterance,
                            transcript=committed.transcript,
                            is_committed=True,
                        )
                    )
                else:
                    # The button was released at once.
                    self.conversation.note_silence()
            case TurnDetector():
                raise invalid("commit", "manual_only", "needs turn_detection MANUAL")
            case _:
                assert_never(self.audio_input)


def _now() -> float:
    return asyncio.get_running_loop().time()
