"""Recordings of every kind come out as the same speech: 16 kHz, mono, in time and in level."""

import io
import json
import struct
import wave
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import av
import grpc
import numpy as np
import pytest
import pytest_asyncio

from gateway.decoding.decoder import AudioLimits, Decoder, decoding
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason

pytestmark = pytest.mark.asyncio(loop_scope="module")

SPEECH = Path(__file__).parents[1] / "data" / "speech"
RECORDING = SPEECH / "en_kokoro_am_michael_10.wav"
RATE = 16_000


def read_reference() -> np.ndarray:
    """The recording as 16 kHz samples, read without the code under test."""
    with wave.open(str(RECORDING)) as wav:
        assert (wav.getframerate(), wav.getnchannels(), wav.getsampwidth()) == (RATE, 1, 2)
        return np.frombuffer(wav.readframes(wav.getnframes()), "<i2")


def encode(
    container: str,
    codec: str,
    *,
    rate: int,
    layout: str = "mono",
    options: dict[str, str] | None = None,
) -> bytes:
    """The recording in another container, codec, rate and layout."""
    file = io.BytesIO()
    with av.open(file, "w", format=container, options=options or {}) as output:
        stream = output.add_stream(codec, rate=rate, layout=layout)
        assert isinstance(stream, av.AudioStream)
        # Both sides alike: FFmpeg's own way from mono to stereo would take 3 dB.
        samples = np.repeat(read_reference(), stream.channels)[None]
        source = av.AudioFrame.from_ndarray(samples, format="s16", layout=layout)
        source.rate = RATE
        resampler = av.AudioResampler(
            format=stream.codec_context.format,
            layout=layout,
            rate=rate,
            frame_size=stream.codec_context.frame_size,
        )
        for frame in [*resampler.resample(source), *resampler.resample(None)]:
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


def raw(dtype: str, rate: int) -> bytes:
    resampler = av.AudioResampler(format="s16", layout="mono", rate=rate)
    source = av.AudioFrame.from_ndarray(read_reference()[None], format="s16", layout="mono")
    source.rate = RATE
    parts = [*resampler.resample(source), *resampler.resample(None)]
    return np.concatenate([part.to_ndarray()[0] for part in parts]).astype(dtype).tobytes()


RF64 = {"rf64": "always"}
KINDS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "wav-8k": ("audio/wav", lambda: encode("wav", "pcm_s16le", rate=8_000)),
    "wav-16k": ("audio/x-wav", RECORDING.read_bytes),
    "wav-44.1k-stereo": (
        "audio/wav",
        lambda: encode("wav", "pcm_s16le", rate=44_100, layout="stereo"),
    ),
    "wav-48k-stereo": (
        "audio/wave",
        lambda: encode("wav", "pcm_s16le", rate=48_000, layout="stereo"),
    ),
    "wav-float": ("audio/wav", lambda: encode("wav", "pcm_f32le", rate=48_000)),
    "wav-mulaw": ("audio/wav", lambda: encode("wav", "pcm_mulaw", rate=8_000)),
    "wav-24bit": ("audio/wav", lambda: encode("wav", "pcm_s24le", rate=44_100)),
    "wav-alaw": ("audio/wav", lambda: encode("wav", "pcm_alaw", rate=8_000)),
    "rf64": ("audio/wav", lambda: encode("wav", "pcm_s16le", rate=16_000, options=RF64)),
    "caf-pcm": ("audio/x-caf", lambda: encode("caf", "pcm_s16le", rate=44_100)),
    "caf-big-endian": ("audio/x-caf", lambda: encode("caf", "pcm_s16be", rate=16_000)),
    "caf-alac": ("audio/x-caf", lambda: encode("caf", "alac", rate=44_100)),
    "caf-float": ("audio/x-caf", lambda: encode("caf", "pcm_f32le", rate=48_000)),
    "aiff": ("audio/aiff", lambda: encode("aiff", "pcm_s16be", rate=44_100, layout="stereo")),
    "aifc": ("audio/aiff", lambda: encode("aiff", "pcm_s16le", rate=48_000)),
    "webm-opus": ("audio/webm;codecs=opus", lambda: encode("webm", "libopus", rate=48_000)),
    "webm-opus-live": (
        "video/webm",
        lambda: encode("webm", "libopus", rate=48_000, options={"live": "1"}),
    ),
    "ogg-opus": ("audio/ogg", lambda: encode("ogg", "libopus", rate=48_000, layout="stereo")),
    "mp3": ("audio/mpeg", lambda: encode("mp3", "libmp3lame", rate=44_100, layout="stereo")),
    "m4a": ("audio/mp4", lambda: encode("ipod", "aac", rate=44_100)),
    "m4a-fragmented": (
        "audio/mp4",
        lambda: encode("mp4", "aac", rate=48_000, options={"movflags": "frag_keyframe+empty_moov"}),
    ),
    "m4a-alac": ("audio/mp4", lambda: encode("ipod", "alac", rate=44_100)),
    "3gp-aac": ("audio/3gpp", lambda: encode("3gp", "aac", rate=16_000)),
    "aac": ("audio/aac", lambda: encode("adts", "aac", rate=24_000)),
    "flac": ("audio/flac", lambda: encode("flac", "flac", rate=48_000)),
    "unnamed": ("application/octet-stream", lambda: encode("mp3", "libmp3lame", rate=16_000)),
    "pcm-16k": ("audio/pcm;rate=16000", lambda: raw("<i2", 16_000)),
    "pcm-24k": ("audio/pcm; rate=24000", lambda: raw("<i2", 24_000)),
    "pcm-default": ("audio/pcm", lambda: raw("<i2", 16_000)),
    "l16-24k": ("audio/L16;rate=24000;channels=1", lambda: raw(">i2", 24_000)),
}


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """The best correlation of two signals within 100 ms of shift, 0 to 1."""
    length = min(len(one), len(other)) - RATE // 5
    middle = one[RATE // 10 : RATE // 10 + length].astype(float)
    within = other[: length + RATE // 5].astype(float)
    # By Fourier transforms: sample by sample, each shift would take a pass over the recording.
    spectra = np.fft.rfft(within) * np.conj(np.fft.rfft(middle, len(within)))
    shifts = np.fft.irfft(spectra, len(within))[: len(within) - length + 1]
    energy = np.concatenate([[0.0], np.cumsum(within**2)])
    windows = energy[length:] - energy[:-length]
    return float(np.max(shifts / np.sqrt(windows * np.sum(middle**2))))


def rms(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(samples.astype(float) ** 2)))


async def attempt(decoder: Decoder, content: bytes, media_type: str) -> bytes | ServiceError:
    try:
        return await decoder.decode(io.BytesIO(content), media_type)
    except ServiceError as error:
        return error


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def decoder() -> AsyncIterator[Decoder]:
    async with decoding(AudioLimits()) as decoder:
        yield decoder


@pytest.mark.parametrize("kind", KINDS)
async def test_every_kind_is_the_same_speech(decoder: Decoder, kind: str) -> None:
    media_type, make = KINDS[kind]
    reference = read_reference()
    samples = np.frombuffer(await decoder.decode(io.BytesIO(make()), media_type), "<i2")
    assert abs(len(samples) - len(reference)) < 0.12 * RATE
    assert correlation(reference, samples) > 0.93
    assert 0.85 < rms(samples) / rms(reference) < 1.15


async def test_recordings_of_the_repository_stay_as_they_are(decoder: Decoder) -> None:
    for entry in json.loads((SPEECH / "manifest.json").read_text()):
        with (SPEECH / entry["file"]).open("rb") as file:
            pcm = await decoder.decode(file, "audio/wav")
        assert len(pcm) / 2 / RATE == pytest.approx(entry["seconds"], abs=0.02)


async def test_stereo_is_mixed_not_picked(decoder: Decoder) -> None:
    file = io.BytesIO()
    with wave.open(file, "wb") as wav:
        wav.setnchannels(2)
        wav.setsampwidth(2)
        wav.setframerate(RATE)
        silent_left = np.stack([np.zeros(RATE), np.full(RATE, 8000)], axis=1).astype("<i2")
        wav.writeframes(silent_left.tobytes())
    samples = np.frombuffer(await decoder.decode(file, "audio/wav"), "<i2")
    assert 3000 < np.median(samples) < 7000


@pytest.mark.parametrize(
    "kind", ["wav-16k", "webm-opus", "m4a", "flac"], ids=lambda kind: f"{kind}-half"
)
async def test_half_a_file_is_refused(decoder: Decoder, kind: str) -> None:
    media_type, make = KINDS[kind]
    whole = make()
    with pytest.raises(ServiceError) as caught:
        await decoder.decode(io.BytesIO(whole[: len(whole) // 2]), media_type)
    assert caught.value.reason is Reason.AUDIO_INVALID
    assert caught.value.violations[0].field == "audio"


@pytest.mark.parametrize("kind", ["mp3", "ogg-opus"])
@pytest.mark.parametrize("cut", [1, 40, 100])
async def test_what_is_cut_within_its_last_packet_is_taken(
    decoder: Decoder, kind: str, cut: int
) -> None:
    media_type, make = KINDS[kind]
    reference = read_reference()
    samples = np.frombuffer(await decoder.decode(io.BytesIO(make()[:-cut]), media_type), "<i2")
    # Ogg has half a second in a page.
    assert abs(len(samples) - len(reference)) < 0.7 * RATE


@pytest.mark.parametrize("kind", KINDS)
async def test_damaged_files_never_crash(decoder: Decoder, kind: str) -> None:
    media_type, make = KINDS[kind]
    whole = make()
    random = np.random.default_rng(11)
    for length in (1, 4, 44, 100, len(whole) // 3, len(whole)):
        damaged = np.frombuffer(whole[:length], np.uint8).copy()
        for at in random.integers(0, length, 1 + length // 200):
            damaged[at] ^= random.integers(1, 256)
        match await attempt(decoder, damaged.tobytes(), media_type):
            case ServiceError() as error:
                assert error.code is grpc.StatusCode.INVALID_ARGUMENT
                assert error.violations[0].field == "audio"
            case pcm:
                assert 0 < len(pcm) <= 60 * RATE * 2


async def test_a_streamed_wav_has_an_open_length(decoder: Decoder) -> None:
    wav = bytearray(RECORDING.read_bytes())
    at = wav.index(b"data") + 4
    wav[at : at + 4] = b"\xff\xff\xff\xff"
    samples = np.frombuffer(await decoder.decode(io.BytesIO(wav), "audio/wav"), "<i2")
    assert correlation(read_reference(), samples) > 0.99


def chunk(name: bytes, content: bytes, *, claims: int | None = None) -> bytes:
    """A chunk of a WAV file, which may claim another length than it has."""
    length = len(content) if claims is None else claims
    return name + struct.pack("<I", length) + content + b"\0" * (len(content) % 2)


def wav_file(
    *,
    before: bytes = b"",
    after: bytes = b"",
    claims: int | None = None,
    riff_size: int = 0,
    fmt: bytes = struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16),
) -> bytes:
    """The recording as a WAV file with odd headers, if given."""
    sound = read_reference().tobytes()
    if claims is not None:
        claims += len(sound)
    chunks = chunk(b"fmt ", fmt) + before + chunk(b"data", sound, claims=claims) + after
    return b"RIFF" + struct.pack("<I", riff_size) + b"WAVE" + chunks


EXTENSIBLE = struct.pack("<HHIIHHHHI", 0xFFFE, 1, RATE, 2 * RATE, 2, 16, 22, 16, 4) + bytes.fromhex(
    "0100000000001000800000aa00389b71"
)
ODD_WAVS = {
    "the file's length for the data's": wav_file(claims=44),
    "its header's and more": wav_file(claims=200, riff_size=10_000_000),
    "a quarter of a second more": wav_file(claims=RATE // 2),
    "an odd byte more": wav_file(claims=1),
    "no length of the file": wav_file(riff_size=0),
    "an open length of the file": wav_file(riff_size=0xFFFFFFFF),
    "open lengths": wav_file(claims=0xFFFFFFFF - 2 * len(read_reference()), riff_size=0xFFFFFFFF),
    "a list before": wav_file(
        before=chunk(b"LIST", b"INFOISFT" + struct.pack("<I", 3) + b"me\0\0")
    ),
    "an odd chunk before": wav_file(before=chunk(b"junk", b"odd")),
    "a tag after": wav_file(after=chunk(b"id3 ", b"ID3" + bytes(500))),
    "junk after": wav_file(after=b"\x13\x37" * 777),
    "extensible": wav_file(fmt=EXTENSIBLE),
}


@pytest.mark.parametrize("oddity", ODD_WAVS)
async def test_a_wav_with_an_odd_header_is_taken_whole(decoder: Decoder, oddity: str) -> None:
    samples = np.frombuffer(await decoder.decode(io.BytesIO(ODD_WAVS[oddity]), "audio/wav"), "<i2")
    reference = read_reference()
    assert np.array_equal(samples[: len(reference)], reference)
    assert len(samples) - len(reference) < 0.1 * RATE


@pytest.mark.parametrize("missing_s", [0.4, 2.0, 600.0])
async def test_a_wav_that_lacks_more_than_rounding_is_refused(
    decoder: Decoder, missing_s: float
) -> None:
    cut = wav_file(claims=round(missing_s * 2 * RATE))
    error = await attempt(decoder, cut, "audio/wav")
    assert isinstance(error, ServiceError)
    assert (error.reason, error.violations[0].rule) == (Reason.AUDIO_INVALID, "complete")


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"#!AMR\n" + b"\x7c" * 32 * 50, "AMR"),
        (b"#!AMR-WB\n" + b"\x7c" * 32 * 50, "AMR"),
        (b"\x02#!SILK_V3" + bytes(500), "SILK"),
        (bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + bytes(500), "WMA"),
        (b".snd" + struct.pack(">5I", 24, 500, 3, 8000, 1) + bytes(500), "AU"),
        (b"MThd" + bytes(100), "MIDI"),
    ],
)
async def test_a_container_that_is_not_taken_is_named(
    decoder: Decoder, content: bytes, name: str
) -> None:
    error = await attempt(decoder, content, "application/octet-stream")
    assert isinstance(error, ServiceError)
    assert error.reason is Reason.AUDIO_FORMAT_UNSUPPORTED
    assert error.violations[0].rule == "container"
    assert name in error.violations[0].description
    assert "caf" in error.violations[0].description


async def test_a_codec_that_is_not_taken_is_named(decoder: Decoder) -> None:
    error = await attempt(decoder, encode("matroska", "ac3", rate=48_000), "audio/webm")
    assert isinstance(error, ServiceError)
    assert error.reason is Reason.AUDIO_FORMAT_UNSUPPORTED
    assert "AC3" in error.violations[0].description


async def test_a_small_file_of_hours_is_cut_off_early(decoder: Decoder) -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="flac") as output:
        stream = output.add_stream("flac", rate=48_000, layout="mono")
        for _ in range(120):
            silence = av.AudioFrame.from_ndarray(
                np.zeros((1, 48_000), "<i2"), format="s16", layout="mono"
            )
            silence.rate = 48_000
            output.mux(stream.encode(silence))
        output.mux(stream.encode(None))
    assert len(file.getvalue()) < 200_000
    with pytest.raises(ServiceError) as caught:
        await decoder.decode(file, "audio/flac")
    assert caught.value.reason is Reason.AUDIO_TOO_LONG


async def test_slow_work_is_given_up() -> None:
    async with decoding(AudioLimits(decode_s=0.0)) as decoder:
        with RECORDING.open("rb") as file, pytest.raises(ServiceError) as caught:
            await decoder.decode(file, "audio/wav")
    assert caught.value.reason is Reason.AUDIO_INVALID


async def test_a_video_without_sound_is_refused(decoder: Decoder) -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="webm") as output:
        stream = output.add_stream("libvpx", rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
        output.mux(stream.encode(picture))
        output.mux(stream.encode(None))
    with pytest.raises(ServiceError) as caught:
        await decoder.decode(file, "video/webm")
    assert caught.value.reason is Reason.AUDIO_INVALID
