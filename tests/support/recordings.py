"""Small recordings of every format that is taken."""

import functools
import io

import av
import numpy as np

FORMATS = (
    *(("wav", "pcm_s16le"), ("wav", "pcm_s24le"), ("webm", "libopus"), ("ogg", "libopus")),
    *(("mp3", "libmp3lame"), ("ipod", "aac"), ("adts", "aac"), ("flac", "flac"), ("caf", "alac")),
    *(("aiff", "pcm_s16be"), ("ipod", "alac")),
)
_RATE_HERTZ = 16_000


@functools.cache
def recording(container: str, codec: str) -> bytes:
    """Half a second of sound."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=_RATE_HERTZ, layout="mono")
        assert isinstance(stream, av.AudioStream)
        samples = (8_000 * np.sin(np.arange(_RATE_HERTZ // 2) * 0.2)).astype("<i2")[None]
        source = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        source.rate = _RATE_HERTZ
        resampler = av.AudioResampler(
            stream.codec_context.format,
            "mono",
            stream.codec_context.sample_rate,
            stream.codec_context.frame_size,
        )
        for frame in [*resampler.resample(source), *resampler.resample(None)]:
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()
