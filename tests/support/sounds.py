"""Sounds that are no speech, made by formula: 16 kHz PCM16."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

RATE = 16_000
Samples = npt.NDArray[np.float64]

SCALE = (261.6, 293.7, 329.6, 392.0, 440.0, 392.0, 329.6, 261.6)


def noise(seconds: float, *, tilt: float = 0.0, seed: int = 1) -> Samples:
    """Noise whose power falls with that power of the frequency: 0 white, 1 pink, 2 brown."""
    white = np.random.default_rng(seed).normal(size=int(seconds * RATE))
    frequencies = np.fft.rfftfreq(len(white), 1 / RATE)
    frequencies[0] = frequencies[1]
    coloured = np.fft.irfft(np.fft.rfft(white) / frequencies ** (tilt / 2), len(white))
    loudest: Samples = coloured / np.abs(coloured).max()
    return loudest


def in_noise(pcm: bytes, *, snr_db: float, tilt: float = 0.0) -> bytes:
    """Speech with noise at a distance from its loud parts, and 0.3 s of it before and after."""
    return over(noise(len(pcm) / 2 / RATE + 1, tilt=tilt), pcm, snr_db=snr_db)


def over(background: Samples, pcm: bytes, *, snr_db: float) -> bytes:
    """Speech over another sound, which is heard 0.3 s before and after."""
    quiet = np.zeros(int(0.3 * RATE))
    samples = np.concatenate([quiet, np.frombuffer(pcm, "<i2") / 32768, quiet])
    added = np.resize(background, len(samples))
    power = np.mean(samples[np.abs(samples) > 0.01] ** 2)
    return to_pcm(samples + added * np.sqrt(power / 10 ** (snr_db / 10) / np.mean(added**2)))


def to_pcm(samples: Samples) -> bytes:
    """Samples from -1 to 1 as PCM16."""
    return np.clip(samples * 32767, -32768, 32767).astype("<i2").tobytes()


def time(seconds: float) -> Samples:
    return np.arange(int(seconds * RATE)) / RATE


def tone(hertz: float, seconds: float) -> Samples:
    return np.sin(2 * np.pi * hertz * time(seconds))


def saw(hertz: float, seconds: float) -> Samples:
    return 2 * ((hertz * time(seconds)) % 1) - 1


def resonant(samples: Samples, *formants: tuple[float, float]) -> Samples:
    """Through resonances of a frequency and a width each, as of a throat."""
    spectrum = np.fft.rfft(samples, len(samples) + 2048)
    around = np.exp(-2j * np.pi * np.fft.rfftfreq(len(samples) + 2048))
    for hertz, width in formants:
        radius = np.exp(-np.pi * width / RATE)
        turn = 2 * radius * np.cos(2 * np.pi * hertz / RATE)
        spectrum = spectrum / (1 - turn * around + (radius * around) ** 2)
    shaped = np.fft.irfft(spectrum, len(samples) + 2048)[: len(samples)]
    loudest: Samples = shaped / np.abs(shaped).max()
    return loudest


def melody(note: Callable[[float, float], Samples], seconds: float = 0.5) -> Samples:
    return np.concatenate([note(hertz, seconds) for hertz in SCALE])


def pluck(hertz: float, seconds: float) -> Samples:
    """A string, by Karplus and Strong."""
    string = np.random.default_rng(int(hertz)).uniform(-1, 1, int(RATE / hertz))
    periods = []
    for _ in range(int(seconds * hertz) + 1):
        periods.append(string)
        string = 0.498 * (string + np.roll(string, -1))
    return np.concatenate(periods)[: int(seconds * RATE)]


def struck(hertz: float, seconds: float) -> Samples:
    """A piano's note, roughly."""
    partials = [tone(hertz * k, seconds) / k**1.5 for k in range(1, 7)]
    together: Samples = np.sum(partials, axis=0) * np.exp(-3 * time(seconds)) / 2
    return together


def bowed(hertz: float, seconds: float) -> Samples:
    """A violin's note, with vibrato."""
    phase = 2 * np.pi * np.cumsum(hertz * (1 + 0.006 * np.sin(34 * time(seconds)))) / RATE
    partials = [np.sin(k * phase) / k for k in range(1, 14) if hertz * k < 7_500]
    together: Samples = np.sum(partials, axis=0) * np.hanning(len(phase)) ** 0.3 / 2
    return together


def keyed(keys: str, seconds: float) -> Samples:
    """A telephone's keys."""
    rows, columns = (697, 770, 852, 941), (1209, 1336, 1477)
    parts = []
    for key in keys:
        row, column = divmod("123456789*0#".index(key), 3)
        parts += [(tone(rows[row], seconds) + tone(columns[column], seconds)) / 2]
        parts += [np.zeros(int(0.1 * RATE))]
    return np.concatenate(parts)


def bursts(burst: Callable[[int], Samples], count: int, gap_s: float) -> Samples:
    """The same again and again, each a little other, in silence."""
    gap = np.zeros(int(gap_s * RATE))
    return np.concatenate([gap, *(part for at in range(count) for part in (burst(at), gap)), gap])


def cough(at: int) -> Samples:
    onset = np.exp(-(((time(0.35) - 0.03) / 0.03) ** 2))
    rest = 0.45 * np.exp(-(((time(0.35) - 0.16) / 0.09) ** 2))
    return resonant(noise(0.35, seed=at), (500, 300), (1500, 400), (2800, 600)) * (onset + rest)


def laugh(at: int) -> Samples:
    voice = saw(220 * (1 - 0.04 * at), 0.11) + 0.5 * noise(0.11, seed=at)
    return resonant(voice, (700, 130), (1220, 70), (2600, 160)) * np.hanning(len(voice)) * 0.6


def clap(at: int) -> Samples:
    return noise(0.04, seed=at) * np.exp(-150 * time(0.04))


SOUNDS: dict[str, Callable[[], Samples]] = {
    "silence": lambda: np.zeros(3 * RATE),
    "white noise": lambda: noise(4) * 0.9,
    "pink noise": lambda: noise(4, tilt=1) * 0.8,
    "hum": lambda: 0.3 * np.sum([tone(50 * k, 4) / k for k in range(1, 8)], axis=0),
    "tone": lambda: 0.5 * tone(440, 4),
    "beeps": lambda: bursts(lambda _: 0.7 * tone(600, 0.4), 6, 0.4),
    "keys of a telephone": lambda: keyed("159037#1590", 0.15),
    "slow keys of a telephone": lambda: keyed("15903", 0.5),
    "ringing": lambda: 0.3 * (tone(440, 4) + tone(480, 4)) * ((time(4) % 2) < 1),
    "plucked strings": lambda: 0.6 * melody(pluck),
    "piano": lambda: 0.6 * melody(struck),
    "violin": lambda: 0.5 * melody(bowed, 0.8),
    "hummed tune": lambda: (
        0.5 * melody(lambda hertz, s: resonant(saw(hertz / 2, s), (280, 80), (1100, 200)), 0.6)
    ),
    "siren": lambda: 0.6 * np.sin(np.cumsum(900 + 400 * np.sin(3.1 * time(4))) * 6.283 / RATE),
    "applause": lambda: 0.5 * bursts(clap, 80, 0.01),
    "coughs": lambda: bursts(cough, 3, 0.3),
    "laughter": lambda: bursts(laugh, 7, 0.08),
    "breathing": lambda: 0.3 * noise(5, tilt=0.5) * np.sin(2 * time(5)) ** 2,
    "typing": lambda: 0.5 * bursts(lambda at: clap(at)[:300], 20, 0.15),
}


def sound(name: str) -> bytes:
    """One of them as PCM16."""
    return to_pcm(SOUNDS[name]())
