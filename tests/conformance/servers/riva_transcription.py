"""Riva's recognizer: hypotheses in a stable and an unstable part, then all that was said."""

from collections.abc import Sequence

from riva.proto.riva_asr_pb2 import (
    RecognitionConfig,
    SpeechRecognitionAlternative,
    StreamingRecognitionResult,
    StreamingRecognizeRequest,
    StreamingRecognizeResponse,
    WordInfo,
)
from riva.proto.riva_audio_pb2 import LINEAR_PCM
from services.runtime.languages import primary
from services.speech.vendors.riva_transcription import VENDOR
from tests.conformance.grpc_server import OVER_GRPC, GrpcServer, ServedCall
from tests.conformance.script import WORD_S, Heard, Utterance
from tests.conformance.subject import Subject


class TranscriptionServer(GrpcServer[Heard]):
    """A server of Riva's recognizer; `configs` are those of all calls."""

    service = "nvidia.riva.asr.RivaSpeechRecognition"
    method = "StreamingRecognize"
    request = StreamingRecognizeRequest

    def __init__(self) -> None:
        super().__init__()
        self.utterance = Utterance()
        self.configs: list[RecognitionConfig] = []

    async def converse(self, call: ServedCall[Heard]) -> None:
        """Answer each packet with a hypothesis, and the end of the sound with the words."""
        session: Heard | None = None
        partials = iter(self.utterance.partials)
        async for request in call:
            if session is None:
                session = call.begin(self._begin(request))
                continue
            assert request.WhichOneof("streaming_request") == "audio_content"
            session.audio += request.audio_content
            session.packets += 1
            if text := next(partials, ""):
                await call.answer(_hypothesis(text))
            elif self.utterance.ends_itself:
                await self._end(call)
                async for _ in call:
                    pass
                return
        assert session is not None
        session.is_finished = True
        if self.utterance.final:
            await call.answer(_final(self.utterance.final))

    def _begin(self, request: StreamingRecognizeRequest) -> Heard:
        """Return what is remembered of an utterance."""
        config = request.streaming_config.config
        assert request.streaming_config.interim_results
        assert (config.encoding, config.sample_rate_hertz) == (LINEAR_PCM, 16_000)
        self.configs.append(config)
        return Heard(
            languages=(primary(config.language_code),),
            hot_words=tuple(word for each in config.speech_contexts for word in each.phrases),
        )

    async def _end(self, call: ServedCall[Heard]) -> None:
        """Hear a likely end, more words, a likely end again, and the end."""
        if self.configs[-1].endpointing_config.stop_history_eou:
            await call.answer(_hypothesis(self.utterance.partials[-1], is_stable=True))
            await call.answer(_hypothesis(self.utterance.final))
            await call.answer(_hypothesis(self.utterance.final, is_stable=True))
        await call.answer(_final(self.utterance.final))


def _hypothesis(text: str, *, is_stable: bool = False) -> StreamingRecognizeResponse:
    if is_stable:
        return _response([_result(text, stability=1.0)])
    first, blank, rest = text.partition(" ")
    parts = [_result(first, stability=0.9), _result(blank + rest, stability=0.1)]
    return _response(parts if rest else parts[:1])


def _final(text: str) -> StreamingRecognizeResponse:
    result = _result(f"{text} ", stability=0.0)
    result.is_final = True
    result.alternatives[0].words.extend(
        WordInfo(
            word=word,
            start_time=round(1000 * place * WORD_S),
            end_time=round(1000 * (place + 1) * WORD_S),
        )
        for place, word in enumerate(text.split())
    )
    return _response([result])


def _result(text: str, *, stability: float) -> StreamingRecognitionResult:
    heard = SpeechRecognitionAlternative(transcript=text, confidence=0.5)
    return StreamingRecognitionResult(alternatives=[heard], stability=stability, channel_tag=1)


def _response(results: Sequence[StreamingRecognitionResult]) -> StreamingRecognizeResponse:
    return StreamingRecognizeResponse(results=results)


SUBJECTS = (
    Subject(
        name="riva",
        vendor=VENDOR,
        server=TranscriptionServer.open,
        without=OVER_GRPC,
    ),
)
