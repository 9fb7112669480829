"""The packets of a WebM stream: the same wherever it is cut, and bounded whatever it claims."""

import io
import struct
from contextlib import suppress
from functools import cache
from itertools import pairwise

import av
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.decoding.refusal import Fault, Refusal
from gateway.decoding.webm import HEADER, MAX_HELD_BYTES, MUTE_ELEMENTS, Track, WebmReader

UNKNOWN = b"\x01" + b"\xff" * 7
OPUS_HEAD = b"OpusHead\x01\x01\x38\x01\x80\xbb\x00\x00\x00\x00\x00"


@cache
def recording(*, live: bool) -> bytes:
    """A third of a second, as FFmpeg writes it: with sizes and cues, or as a recorder does."""
    file = io.BytesIO()
    with av.open(file, "w", format="webm", options={"live": "1" if live else "0"}) as output:
        stream = output.add_stream("libopus", rate=48_000, layout="mono")
        samples = (8_000 * np.sin(np.arange(16_320) * 0.05)).astype("<i2")
        for at in range(0, len(samples) - 959, 960):
            frame = av.AudioFrame.from_ndarray(samples[None, at : at + 960], "s16", "mono")
            frame.sample_rate, frame.pts = 48_000, at
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


@cache
def packets_of(content: bytes) -> tuple[bytes, ...]:
    """The packets, as FFmpeg reads them."""
    with av.open(io.BytesIO(content), "r") as container:
        return tuple(bytes(each) for each in container.demux(audio=0) if each.size)


def read(content: bytes, cuts: list[int]) -> tuple[list[Track], tuple[bytes, ...]]:
    """What is read of a stream that is cut there."""
    tracks: list[Track] = []
    reader = WebmReader(tracks.append)
    places = [0, *sorted(cuts), len(content)]
    pieces = [content[start:end] for start, end in pairwise(places)]
    return tracks, tuple(packet for piece in pieces for packet in reader.read(piece))


@settings(max_examples=60)
@given(st.booleans(), st.lists(st.integers(0, 3_000), max_size=12))
@example(True, [1])
@example(False, [1, 2, 3, 4, 5])
def test_a_stream_may_be_cut_anywhere(live: bool, cuts: list[int]) -> None:
    content = recording(live=live)
    tracks, packets = read(content, [min(cut, len(content)) for cut in cuts])
    assert packets == packets_of(content)
    assert [track.head[:8] for track in tracks] == [b"OpusHead"]


def test_a_stream_may_come_byte_by_byte() -> None:
    content = recording(live=True)
    assert read(content, list(range(len(content))))[1] == packets_of(content)


@settings(max_examples=30)
@given(st.lists(st.integers(0, 6_000), max_size=8), st.booleans())
def test_recordings_may_follow_each_other(cuts: list[int], live: bool) -> None:
    first, second = recording(live=True), recording(live=live)
    both = first + second
    tracks, packets = read(both, [min(cut, len(both)) for cut in cuts])
    assert packets == packets_of(first) + packets_of(second)
    assert len(tracks) == 2


def test_a_recording_may_begin_where_the_one_before_was_broken_off() -> None:
    content = recording(live=True)
    cut = len(content) - 40
    packets = read(content[:cut] + content, [cut])[1]
    assert packets == packets_of(content)[:-1] + packets_of(content)


def element(id_: bytes, *contents: bytes) -> bytes:
    """An element with its size."""
    content = b"".join(contents)
    return id_ + struct.pack(">Q", 1 << 56 | len(content)) + content


TRACK = element(
    b"\xae",
    element(b"\xd7", b"\x01"),
    element(b"\x83", b"\x02"),
    element(b"\x86", b"A_OPUS"),
    element(b"\x63\xa2", OPUS_HEAD),
)
VIDEO_TRACK = element(
    b"\xae", element(b"\xd7", b"\x02"), element(b"\x83", b"\x01"), element(b"\x86", b"V_VP8")
)
START = element(HEADER, element(b"\x42\x82", b"webm")) + b"\x18\x53\x80\x67" + UNKNOWN
TRACKS = element(b"\x16\x54\xae\x6b", VIDEO_TRACK, TRACK)
CLUSTER = b"\x1f\x43\xb6\x75" + UNKNOWN + element(b"\xe7", b"\x00")
BLOCK_HEAD = b"\x81\x00\x00"
VOID = element(b"\xec", bytes(500))


@pytest.mark.parametrize(
    ("blocks", "packets"),
    [
        (element(b"\xa3", BLOCK_HEAD, b"\x80", b"one"), [b"one"]),
        (element(b"\xa0", element(b"\xa1", BLOCK_HEAD, b"\x00", b"one")), [b"one"]),
        (b"\xa0" + UNKNOWN + element(b"\xa1", BLOCK_HEAD, b"\x00", b"one"), [b"one"]),
        (
            element(b"\xa3", BLOCK_HEAD, b"\x02", b"\x02\x03\x01onetothree"),
            [b"one", b"t", b"othree"],
        ),
        (
            element(b"\xa3", BLOCK_HEAD, b"\x02", b"\x01\xff\x05", b"a" * 260, b"b"),
            [b"a" * 260, b"b"],
        ),
        (element(b"\xa3", BLOCK_HEAD, b"\x04", b"\x02", b"aabbcc"), [b"aa", b"bb", b"cc"]),
        (
            element(b"\xa3", BLOCK_HEAD, b"\x06", b"\x02\x83\xbe", b"aaabbcccc"),
            [b"aaa", b"bb", b"cccc"],
        ),
        (element(b"\xa3", b"\x82\x00\x00", b"\x80", b"picture"), []),
        (VOID + element(b"\x1c\x53\xbb\x6b", bytes(90)), []),
    ],
    ids=[
        *("simple", "group", "open-group", "xiph", "xiph-long", "fixed", "ebml", "video", "void"),
    ],
)
def test_every_way_to_pack_packets(blocks: bytes, packets: list[bytes]) -> None:
    last = element(b"\xa3", BLOCK_HEAD, b"\x80", b"last")
    content = START + VOID + TRACKS + CLUSTER + blocks + CLUSTER + last
    for cuts in ([], list(range(len(content)))):
        assert list(read(content, cuts)[1]) == [*packets, b"last"]


@pytest.mark.parametrize(
    ("content", "fault", "rule"),
    [
        (b"RIFF", Fault.INVALID, "webm"),
        (b"\x1a\x45\xdf\xa4", Fault.INVALID, "webm"),
        (START + TRACKS + CLUSTER + b"\xa3" + UNKNOWN, Fault.INVALID, "decodable"),
        (START + b"\xae\x01" + b"\x7f" * 7, Fault.INVALID, "decodable"),
        (START + TRACKS + CLUSTER + element(b"\xa3", b"\x81"), Fault.INVALID, "decodable"),
        (
            START + TRACKS + CLUSTER + element(b"\xa3", BLOCK_HEAD, b"\x02", b"\xff" * 9),
            Fault.INVALID,
            "decodable",
        ),
        (START + CLUSTER, Fault.INVALID, "has_sound"),
        (START + element(b"\x16\x54\xae\x6b", VIDEO_TRACK) + CLUSTER, Fault.INVALID, None),
        (
            START + TRACK.replace(b"A_OPUS", b"A_AAC\0"),
            Fault.UNSUPPORTED,
            "codec",
        ),
        (START + TRACK.replace(b"OpusHead", b"OpusFoot"), Fault.INVALID, "decodable"),
        (START + b"\xec\x01" + b"\x7f" * 7 + bytes(300_000), Fault.INVALID, "has_sound"),
        (START + VOID * 600, Fault.INVALID, "has_sound"),
    ],
)
def test_what_cannot_be_sound_is_refused(content: bytes, fault: Fault, rule: str | None) -> None:
    with pytest.raises(Refusal) as caught:
        read(content, list(range(0, len(content), 60_000)))
    assert caught.value.fault is fault
    assert rule in (None, caught.value.rule)


@settings(max_examples=150)
@given(st.data())
def test_damage_is_refused_or_read_in_bounds(data: st.DataObject) -> None:
    content = bytearray(recording(live=data.draw(st.booleans())))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, 400))] = data.draw(st.integers(0, 255))
    reader = WebmReader(lambda _: None)
    with suppress(Refusal):
        for at in range(0, len(content), 500):
            size = sum(map(len, reader.read(bytes(content[at : at + 500]))))
            assert size <= MAX_HELD_BYTES + 500


def test_depth_is_no_burden() -> None:
    nested = START + (b"\x16\x54\xae\x6b" + UNKNOWN) * (MUTE_ELEMENTS - 10)
    assert read(nested, [])[1] == ()


@pytest.mark.parametrize(
    "element",
    [b"\xec\x80", b"\x16\x54\xae\x6b\x80", b"\xa3\x84\x82\x00\x00\x80"],
    ids=["void", "nested", "of another track"],
)
def test_elements_without_sound_are_few(element: bytes) -> None:
    # One message of an open line, far below the limit of bytes.
    piece = element * (60_000 // len(element))
    _, packets = read(recording(live=True), [])
    assert packets
    with pytest.raises(Refusal) as caught:
        read(recording(live=True) + piece, [])
    assert caught.value.fault is Fault.INVALID
