"""Riva's voices: each character of a text is a word of it."""

from riva.proto.riva_audio_pb2 import LINEAR_PCM
from riva.proto.riva_tts_pb2 import (
    SynthesizeSpeechRequest,
    SynthesizeSpeechResponse,
    SynthesizeSpeechResponseMetadata,
    WordTiming,
)
from services.runtime.languages import primary
from services.speech.vendors.riva_speech import SAMPLE_RATE_HERTZ, VENDOR
from tests.conformance.grpc_server import OVER_GRPC, GrpcServer, ServedCall
from tests.conformance.script import Spoken, pieces, sound_of, sounds_at
from tests.conformance.subject import Subject


class SpeechServer(GrpcServer[Spoken]):
    """A server of Riva's voices."""

    service = "nvidia.riva.tts.RivaSpeechSynthesis"
    method = "SynthesizeOnline"
    request = SynthesizeSpeechRequest

    async def converse(self, call: ServedCall[Spoken]) -> None:
        """Speak each text when it comes."""
        session: Spoken | None = None
        async for request in call:
            assert (request.encoding, request.sample_rate_hz) == (LINEAR_PCM, SAMPLE_RATE_HERTZ)
            if session is None:
                language = primary(request.language_code)
                session = call.begin(Spoken(voice_id=request.voice_name, language=language))
            session.texts.append(request.text)
            await _speak(call, request)
        if session is not None:
            session.is_finished = True


class OlderSpeechServer(SpeechServer):
    """A server that takes one text in a call."""

    async def converse(self, call: ServedCall[Spoken]) -> None:
        """Speak the text."""
        await super().converse(call)
        assert len(call.sessions[0].texts) == 1


async def _speak(call: ServedCall[Spoken], request: SynthesizeSpeechRequest) -> None:
    for pcm in pieces(sound_of(request.text, SAMPLE_RATE_HERTZ)):
        await call.answer(SynthesizeSpeechResponse(audio=pcm, id=request.id))
    words = _words(request.text) if request.enable_word_time_offsets else []
    meta = SynthesizeSpeechResponseMetadata(text=request.text, words=words)
    await call.answer(SynthesizeSpeechResponse(meta=meta, id=request.id))


def _words(text: str) -> list[WordTiming]:
    return [
        WordTiming(
            word=character,
            start_time=round(1000 * sounds_at(text, place)),
            end_time=round(1000 * sounds_at(text, place + 1)),
        )
        for place, character in enumerate(text)
        if character.strip()
    ]


_WITHOUT = {
    "speed": "its calls have no speed",
    **dict.fromkeys(("style", "emotion"), "an emotion is a voice of its own"),
    **OVER_GRPC,
}

SUBJECTS = (
    Subject(name="riva", vendor=VENDOR, server=SpeechServer.open, without=_WITHOUT),
    Subject(
        name="riva-older",
        vendor=VENDOR,
        server=OlderSpeechServer.open,
        options={"texts_per_call": "one"},
        without={
            **_WITHOUT,
            "text_ahead": "a call takes one text, and the next begins when its sound is complete",
            "early_end": "a call that ends well is a whole answer to its one text",
            "connection_lost": "no call is open while a text is written",
        },
    ),
)
