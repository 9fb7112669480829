"""WAV files that arrive in pieces: the header, and then exactly the samples."""

import struct
from collections.abc import AsyncIterator

from services.speech.vendors.sound.byte_stream import ByteStream
from services.speech.vendors.sound.formats import Pcm, SoundError

LONGEST_CHUNK = 1 << 20
"""Bytes of a chunk other than the samples."""
_OPEN_LENGTH = 0x7FFF_0000
"""Lengths from here on, and 0, are placeholders of writers that cannot seek to fill them in."""
_FORMATS = {
    (1, 8): "u8",
    (1, 16): "s16le",
    (1, 24): "s24le",
    (1, 32): "s32le",
    (3, 32): "f32le",
    (3, 64): "f64le",
    (6, 8): "alaw",
    (7, 8): "mulaw",
}
_EXTENSIBLE = 0xFFFE


async def read_header(file: ByteStream) -> tuple[Pcm, int | None]:
    """Read up to the first sample; return the samples' format, and their size if it is known.

    Raises SoundError.
    """
    await file.take(12)
    pcm: Pcm | None = None
    while len(head := await file.take(8)) == 8:
        kind, size = struct.unpack("<4sI", head)
        if kind == b"data":
            if pcm is None:
                raise SoundError("its WAV header has no format")
            is_open = size == 0 or size >= _OPEN_LENGTH
            return pcm, None if is_open else size
        if size > LONGEST_CHUNK:
            break
        content = await file.take(size + size % 2)
        if kind == b"fmt ":
            pcm = _format(content)
    raise SoundError("it ends in its WAV header")


async def samples(file: ByteStream, size: int | None) -> AsyncIterator[bytes]:
    """Yield the samples' bytes, also those of further files that some servers append."""
    while True:
        left = size
        while (left is None or left > 0) and (piece := await file.some(left)):
            left = None if left is None else left - len(piece)
            yield piece
        if size is None or not (await file.peek(4)).startswith(b"RIFF"):
            return
        _, size = await read_header(file)


def _format(content: bytes) -> Pcm:
    if len(content) < 16:
        raise SoundError("its WAV header is cut short")
    tag, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", content)
    if tag == _EXTENSIBLE and len(content) >= 26:
        (tag,) = struct.unpack_from("<H", content, 24)
    if (tag, bits) not in _FORMATS:
        raise SoundError(f"its WAV header has the unknown format {tag} of {bits} bits")
    return Pcm(format=_FORMATS[tag, bits], rate_hertz=rate, channels=channels)
