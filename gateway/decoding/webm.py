"""Reads the Opus packets out of WebM as it arrives, wherever the stream is split.

The nesting of elements need not be tracked: a recorder's elements differ by their ids alone, so a
container is entered by skipping its head, and one of unknown size needs no end. Only a track and
a block are ever held, and neither may be large.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gateway.decoding.refusal import Fault, Refusal, unsupported

HEADER = b"\x1a\x45\xdf\xa3"
"""Every recording starts with it."""

MUTE_BYTES = 262_144
"""A stream without a packet of sound in this many bytes is refused."""

MUTE_ELEMENTS = 1_024
"""A stream may have this many more elements than ELEMENTS_PER_PACKET allows: tags and cues."""

ELEMENTS_PER_PACKET = 16
"""How many elements a packet of sound may need: each costs time, if only two bytes."""

MAX_HELD_BYTES = 65_536
MAX_CHANNELS = 8

_EBML = 0x1A45DFA3
_SEGMENT = 0x18538067
_CLUSTER = 0x1F43B675
_TRACKS = 0x1654AE6B
_BLOCK_GROUP = 0xA0
_ENTERED = frozenset((_EBML, _SEGMENT, _CLUSTER, _TRACKS, _BLOCK_GROUP))
_TRACK = 0xAE
_BLOCKS = frozenset((0xA3, 0xA1))

_NUMBER = 0xD7
_TYPE = 0x83
_CODEC = 0x86
_PRIVATE = 0x63A2
_ENCODINGS = 0x6D80
_SOUND = b"\x02"
_OPUS_HEAD_BYTES = 19
_CHANNELS_AT = 9

_LONGEST_ID = 4
_LONGEST_SIZE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """The audio track of a recording; `head` is Opus's identification header."""

    number: int
    head: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Element:
    """The head of an element; its content has `size` bytes from `start` on, None if unknown."""

    id: int
    start: int
    size: int | None


class WebmReader:
    """Reads one recording after the other: each starts with a header of its own."""

    def __init__(self, begin: Callable[[Track], None]) -> None:
        """`begin` is called with each recording's track, before its packets are yielded."""
        self._begin = begin
        self._held = bytearray()
        self._skip_bytes = 0
        self._has_begun = False
        self._track: Track | None = None
        self._mute_bytes = 0
        self._mute_elements = 0

    def read(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the packets that a piece of the stream completes; raises Refusal."""
        if chunk.startswith(HEADER):
            # A recorder that starts again may have left its last element unfinished.
            self._held.clear()
            self._skip_bytes = 0
        self._mute_bytes += len(chunk)
        self._held += chunk
        while self._drop_skipped() and (element := self._next()) is not None:
            self._mute_elements += 1
            yield from self._take(element)
            if self._mute_elements > MUTE_ELEMENTS:
                raise _invalid("has_sound", "holds no sound")
        if self._mute_bytes > MUTE_BYTES:
            raise _invalid("has_sound", "holds no sound")

    def _drop_skipped(self) -> bool:
        """Drop what is to be skipped; False when more of it is still to arrive."""
        dropped = min(self._skip_bytes, len(self._held))
        del self._held[:dropped]
        self._skip_bytes -= dropped
        return self._skip_bytes == 0

    def _next(self) -> _Element | None:
        """Return the next element's head; None when more has to arrive first."""
        if not self._has_begun and self._held:
            if not HEADER.startswith(self._held[:4]):
                raise _invalid("webm", "must begin as WebM does")
            self._has_begun = len(self._held) >= len(HEADER)
        element = _element(self._held, 0)
        if element is None:
            return None
        if element.id in _BLOCKS or element.id == _TRACK:
            if element.size is None or element.size > MAX_HELD_BYTES:
                raise _invalid("decodable", "has a track or a block larger than any sound's")
            if len(self._held) < element.start + element.size:
                return None
        elif element.size is None and element.id not in _ENTERED:
            raise _invalid("decodable", "is damaged, or not WebM")
        return element

    def _take(self, element: _Element) -> Iterator[bytes]:
        if element.id in _ENTERED:
            del self._held[: element.start]
            self._enter(element.id)
            return
        if element.id != _TRACK and element.id not in _BLOCKS:
            self._skip_bytes = element.start + (element.size or 0)
            return
        end = element.start + (element.size or 0)
        content = bytes(self._held[element.start : end])
        del self._held[:end]
        if element.id == _TRACK:
            self._note_track(content)
            return
        for packet in self._packets(content):
            self._mute_bytes = 0
            self._mute_elements = max(0, self._mute_elements - ELEMENTS_PER_PACKET)
            yield packet

    def _enter(self, entered: int) -> None:
        if entered == _EBML:
            self._track = None
        elif entered == _CLUSTER and self._track is None:
            raise _invalid("has_sound", "has no sound track")

    def _note_track(self, content: bytes) -> None:
        fields = dict(_children(content))
        if self._track is not None or fields.get(_TYPE, b"").lstrip(b"\0") != _SOUND:
            return
        if fields.get(_CODEC, b"").rstrip(b"\0") != b"A_OPUS":
            raise unsupported("codec", "must be WebM with Opus")
        if _ENCODINGS in fields:
            raise unsupported("codec", "must not be packed further")
        head = fields.get(_PRIVATE, b"")
        if len(head) < _OPUS_HEAD_BYTES or not head.startswith(b"OpusHead"):
            raise _invalid("decodable", "is damaged, or not WebM with Opus")
        if not 1 <= head[_CHANNELS_AT] <= MAX_CHANNELS:
            raise _invalid("channels", f"must have 1 to {MAX_CHANNELS} channels")
        self._track = Track(number=int.from_bytes(fields.get(_NUMBER, b"")), head=head)
        self._begin(self._track)

    def _packets(self, block: bytes) -> list[bytes]:
        """Return the packets of a block, if it belongs to the audio track."""
        number = _vint(block, 0, keeps_marker=False)
        if number is None or len(block) < number[1] + 3:
            raise _invalid("decodable", "has a block without its head")
        if self._track is None or number[0] != self._track.number:
            return []
        flags = block[number[1] + 2]
        packets = _unlaced(block[number[1] + 3 :], (flags >> 1) & 3)
        return [packet for packet in packets if packet]


def _element(held: bytes | bytearray, at: int) -> _Element | None:
    """Return the head of the element at an offset; None when it is incomplete."""
    id_ = _vint(held, at, keeps_marker=True, longest=_LONGEST_ID)
    if id_ is None:
        return None
    size = _vint(held, at + id_[1], keeps_marker=False)
    if size is None:
        return None
    value, length = size
    is_unknown = value == (1 << 7 * length) - 1
    return _Element(id=id_[0], start=at + id_[1] + length, size=None if is_unknown else value)


def _vint(
    held: bytes | bytearray, at: int, *, keeps_marker: bool, longest: int = _LONGEST_SIZE
) -> tuple[int, int] | None:
    """Return a number of variable length and its length; None when it is incomplete."""
    if at >= len(held):
        return None
    length = 9 - held[at].bit_length()
    if length > longest:
        raise _invalid("decodable", "is damaged, or not WebM")
    if at + length > len(held):
        return None
    value = int.from_bytes(held[at : at + length])
    return (value if keeps_marker else value & (1 << 7 * length) - 1), length


def _children(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the ids and contents of a track's fields."""
    at = 0
    while at < len(content):
        element = _element(content, at)
        if element is None or element.size is None or element.start + element.size > len(content):
            raise _invalid("decodable", "has a damaged track")
        yield element.id, content[element.start : element.start + element.size]
        at = element.start + element.size


def _unlaced(content: bytes, lacing: int) -> list[bytes]:
    """Return the packets of a block that may hold several."""
    if lacing == 0:
        return [content]
    if not content:
        raise _invalid("decodable", "has a damaged block")
    count = content[0] + 1
    match lacing:
        case 1:
            sizes, at = _xiph_sizes(content, count)
        case 3:
            sizes, at = _ebml_sizes(content, count)
        case _:
            at = 1
            sizes = [(len(content) - at) // count] * (count - 1)
    packets = []
    for size in sizes:
        packets.append(content[at : at + size])
        at += size
    if at > len(content):
        raise _invalid("decodable", "has a damaged block")
    return [*packets, content[at:]]


def _xiph_sizes(content: bytes, count: int) -> tuple[list[int], int]:
    """Return the sizes of all packets but the last, each a sum of bytes, and where those begin."""
    at = 1
    sizes = []
    for _ in range(count - 1):
        size = 0
        more = 255
        while more == 255:
            if at >= len(content):
                raise _invalid("decodable", "has a damaged block")
            more = content[at]
            size += more
            at += 1
        sizes.append(size)
    return sizes, at


def _ebml_sizes(content: bytes, count: int) -> tuple[list[int], int]:
    """The same where the first size is a number, and each other one differs from the one before."""
    at = 1
    sizes: list[int] = []
    for _ in range(count - 1):
        number = _vint(content, at, keeps_marker=False)
        if number is None:
            raise _invalid("decodable", "has a damaged block")
        value, length = number
        at += length
        sizes.append(value if not sizes else sizes[-1] + value - ((1 << 7 * length - 1) - 1))
        if sizes[-1] < 0:
            raise _invalid("decodable", "has a damaged block")
    return sizes, at


def _invalid(rule: str, description: str) -> Refusal:
    return Refusal(Fault.INVALID, rule, description)
