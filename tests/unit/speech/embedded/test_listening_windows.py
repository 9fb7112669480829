"""Only voiced stretches are decoded, none longer than the model hears; features fit it."""

import wave
from pathlib import Path

import numpy as np
import pytest

from services.speech.embedded.detector import EarshotDetector
from services.speech.embedded.mel import Floats, log_mel, samples_from_pcm
from services.speech.embedded.windows import speech_windows
from services.speech.ports.recognition import LISTENING_RATE_HERTZ

RECORDINGS = Path(__file__).parents[3] / "data" / "speech"


def recorded(name: str) -> bytes:
    with wave.open(str(RECORDINGS / name)) as file:
        return file.readframes(file.getnframes())


def pcm(samples: Floats) -> bytes:
    return (samples * 32767).astype("<i2").tobytes()


def noise(seconds: float, level: float) -> Floats:
    random = np.random.default_rng(1)
    shape = int(seconds * LISTENING_RATE_HERTZ)
    return random.normal(0, level, shape).astype(np.float32)


@pytest.mark.parametrize(
    "recording", [b"", b"\0", bytes(200), bytes(96_000), pcm(noise(5, 0.003)), pcm(noise(5, 0.1))]
)
def test_no_voice_gives_no_window(recording: bytes) -> None:
    assert speech_windows(recording) == []


def test_silence_around_speech_is_left_out() -> None:
    speech = recorded("cards_001.wav")
    silence = bytes(2 * 10 * LISTENING_RATE_HERTZ)
    [window] = speech_windows(silence + speech + silence)
    assert len(window) <= len(speech) // 2 + LISTENING_RATE_HERTZ
    energy = np.square(samples_from_pcm(speech)).sum()
    assert np.square(window).sum() == pytest.approx(energy, rel=0.01)


def test_long_speech_is_cut_where_it_is_quiet() -> None:
    speech = samples_from_pcm(recorded("librivox_0870.wav"))
    gap = np.zeros(LISTENING_RATE_HERTZ // 2, np.float32)
    windows = speech_windows(
        pcm(np.concatenate([speech, speech, gap, speech, speech, gap, speech]))
    )
    assert len(windows) > 1
    assert all(len(window) <= 26 * LISTENING_RATE_HERTZ for window in windows)
    loudness = np.sqrt(np.square(speech).mean())
    for window in windows:
        assert np.sqrt(np.square(window[-1600:]).mean()) < loudness / 4


def test_features_have_a_frame_per_10_ms_and_the_tone_in_its_band() -> None:
    time = np.arange(2 * LISTENING_RATE_HERTZ, dtype=np.float32) / LISTENING_RATE_HERTZ
    low, high = (log_mel(np.sin(2 * np.pi * hertz * time)) for hertz in (500, 4000))
    assert low.shape == high.shape == (80, 200)
    assert low.dtype == high.dtype == np.float32
    # 500 Hz is 7.5 and 4000 Hz is 35.2 on a scale whose 45.2 mel at 8 kHz make 81 steps.
    assert low[:, 100].argmax() == pytest.approx(12.4, abs=1)
    assert high[:, 100].argmax() == pytest.approx(62.0, abs=1)
    assert low.max() - low.min() <= 2


def test_the_detector_hears_speech_and_not_silence() -> None:
    detector = EarshotDetector()
    speech = recorded("librivox_0880.wav")
    size = detector.frame_bytes
    heard = [
        detector.speech_probability(speech[start : start + size])
        for start in range(0, len(speech) - size, size)
    ]
    assert max(heard) > 0.9
    quiet = EarshotDetector()
    assert max(quiet.speech_probability(bytes(size)) for _ in range(60)) < 0.5
