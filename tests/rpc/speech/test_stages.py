"""The stages one by one, and what is on offer."""

from digitalhuman.speech.v1 import speech_pb2 as pb
from services.speech.playback.wire import to_format
from tests.support.scripted_providers import ScriptedRecognizer
from tests.support.speech_rig import Script, speech_rig


async def test_an_utterance_is_recognised() -> None:
    recognizer = ScriptedRecognizer(hypotheses=("hello", "hello there"))
    async with speech_rig(Script(recognizer=recognizer)) as rig:
        requests = [
            pb.TranscribeRequest(
                setup=pb.TranscribeSetup(language_code="en-US", format=to_format(16_000))
            ),
            pb.TranscribeRequest(audio=pb.ConverseAudio(pcm=b"\x01\x00" * 100)),
            pb.TranscribeRequest(audio=pb.ConverseAudio(pcm=b"\x02\x00" * 100)),
        ]
        told = [
            (each.transcript.text, each.transcript.is_final)
            async for each in rig.stub.Transcribe(iter(requests))
        ]
        assert told == [("hello", False), ("hello there", True)]
        assert recognizer.heard == [b"\x01\x00" * 100 + b"\x02\x00" * 100]


async def test_a_text_is_spoken_sentence_by_sentence() -> None:
    async with speech_rig() as rig:
        request = pb.SynthesizeRequest(
            text="**This** is the first sentence here. It costs $5 a month, all in all.",
            language_code="en",
        )
        responses = [each async for each in rig.stub.Synthesize(request)]
        assert responses[0].format.sample_rate_hertz == 24_000
        assert not any(each.HasField("format") for each in responses[1:])
        sentences = [each.sentence for each in responses if each.HasField("sentence")]
        assert [each.text for each in sentences] == [
            "This is the first sentence here.",
            "It costs five dollars a month, all in all.",
        ]
        spans = [request.text[each.text_start : each.text_end] for each in sentences]
        assert " ".join(spans) == request.text
        pcm = b"".join(each.pcm for each in responses)
        first_s = sentences[1].audio_offset.ToMilliseconds() / 1_000
        assert first_s == len(sentences[0].text) * 0.05
        assert len(pcm) == sum(len(each.text) for each in sentences) * 2_400


async def test_a_caption_keeps_the_comma_that_the_voice_is_not_given() -> None:
    async with speech_rig() as rig:
        request = pb.SynthesizeRequest(
            text="Welcome to the house by the harbour, I am Nora.", language_code="en"
        )
        responses = [each async for each in rig.stub.Synthesize(request)]
        sentences = [each.sentence for each in responses if each.HasField("sentence")]
        assert len(sentences) > 1
        assert " ".join(each.text for each in sentences) == request.text
        commas = sum(each.text.endswith(",") for each in sentences)
        spoken = sum(len(each.text) for each in sentences) - commas
        assert sum(len(each.pcm) for each in responses) == spoken * 2_400


async def test_personas_are_listed_without_their_prompts() -> None:
    async with speech_rig() as rig:
        listed = await rig.stub.ListPersonas(pb.ListPersonasRequest())
        assert [each.persona_id for each in listed.personas] == ["host", "tutor"]
        assert listed.default_persona_id == "host"
        host = listed.personas[0]
        assert list(host.language_codes) == ["en", "zh"]
        assert host.greetings["zh"] == "欢迎。"
        assert host.sample_questions["en"] == "When do you open?"
        assert "You are a host" not in str(listed)


async def test_lists_come_in_pages() -> None:
    async with speech_rig() as rig:
        first = await rig.stub.ListVoices(pb.ListVoicesRequest(page_size=1))
        assert [each.voice_id for each in first.voices] == ["anna"]
        second = await rig.stub.ListVoices(
            pb.ListVoicesRequest(page_size=1, page_token=first.next_page_token)
        )
        assert [each.voice_id for each in second.voices] == ["wei"]
        assert second.next_page_token == ""
        chinese = await rig.stub.ListVoices(pb.ListVoicesRequest(language_code="zh-TW"))
        assert [each.voice_id for each in chinese.voices] == ["wei"]
