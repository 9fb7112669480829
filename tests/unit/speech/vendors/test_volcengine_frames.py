"""The frames of Volcengine, against bytes as its documentation writes them."""

import gzip
import struct

import pytest

from services.speech.vendors.volcengine.frames import Frame, FrameType, decode


def test_writes_a_request() -> None:
    frame = Frame.of({"user": {"uid": "小帕"}})
    payload = '{"user": {"uid": "小帕"}}'.encode()
    assert frame.encode() == b"\x11\x10\x10\x00" + struct.pack(">I", len(payload)) + payload


def test_writes_the_last_sound() -> None:
    frame = Frame(type=FrameType.SOUND, is_last=True)
    assert frame.encode() == b"\x11\x22\x00\x00" + bytes(4)


def test_writes_events_of_the_connection_without_an_id_and_of_a_session_with_it() -> None:
    start = Frame.of({}, event=1).encode()
    assert start == b"\x11\x14\x10\x00" + b"\x00\x00\x00\x01" + b"\x00\x00\x00\x02{}"
    text = Frame.of({}, event=200, subject_id="ab").encode()
    assert text[4:] == b"\x00\x00\x00\xc8" + b"\x00\x00\x00\x02ab" + b"\x00\x00\x00\x02{}"


@pytest.mark.parametrize(
    ("kind", "sequence", "is_last"),
    [
        (0x90, b"", False),
        (0x91, b"\x00\x00\x00\x05", False),
        (0x92, b"", True),
        (0x93, b"\xff\xff\xff\xfb", True),
    ],
)
def test_reads_answers_with_and_without_a_sequence(
    kind: int, sequence: bytes, is_last: bool
) -> None:
    payload = gzip.compress(b'{"result": 1}')
    message = bytes((0x11, kind, 0x11, 0)) + sequence + struct.pack(">I", len(payload)) + payload
    frame = decode(message)
    assert (frame.document, frame.is_last) == ({"result": 1}, is_last)


def test_reads_a_longer_header() -> None:
    assert decode(b"\x12\x90\x10\x00abcd\x00\x00\x00\x02{}").document == {}


def test_reads_the_sound_of_a_session() -> None:
    message = b"\x11\xb4\x00\x00\x00\x00\x01\x60\x00\x00\x00\x02ab\x00\x00\x00\x03\x01\x02\x03"
    frame = decode(message)
    assert (frame.event, frame.subject_id, frame.payload) == (352, "ab", b"\x01\x02\x03")


def test_reads_an_error() -> None:
    frame = decode(b"\x11\xf0\x10\x00" + struct.pack(">II", 45_000_001, 4) + b"oops")
    assert (frame.type, frame.code, frame.payload) == (FrameType.ERROR, 45_000_001, b"oops")


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\x11",
        b"\x11\x90\x10\x00",
        b"\x11\x90\x10\x00\x00\x00\x00\x09{}",
        b"\x11\x94\x10\x00\x00\x00",
        b"\x11\x94\x10\x00\x00\x00\x01\x60\x00\x00\x00\x02\xff\xfe\x00\x00\x00\x00",
        b"\x11\x90\x11\x00\x00\x00\x00\x02{}",
    ],
)
def test_refuses_what_is_no_frame(message: bytes) -> None:
    with pytest.raises(ValueError, match=r"frame|decode"):
        decode(message)


@pytest.mark.parametrize("payload", [b"", b"[]", b"{", b"\xff"])
def test_refuses_a_document_that_is_no_object(payload: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        _ = Frame(type=FrameType.RESPONSE, payload=payload).document
