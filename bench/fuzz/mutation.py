"""Input that nobody expects: bytes, texts, numbers and JSON, all drawn from a seeded generator."""

import random
from collections.abc import Callable
from typing import Any

TEXTS = (
    *(
        "",
        " ",
        "\0",
        "a\0b",
        "\r\nX: y",
        "\x1b[2J\x1b]0;title\x07",
        "\x9b31m",
        "\u2028",
        "\u202etxt",
    ),
    *("é", "e\u0301", "𝕏" * 40, "\U0010ffff", "ﷺ" * 300, "\ufeff", "\ufffe", "你好", "🙂" * 65),
    *(
        "a" * 128,
        "a" * 129,
        "a" * 5_000,
        "a b",
        "../../etc/passwd",
        "%00",
        "%ff",
        "{{name}}",
        "${x}",
    ),
    *("-1", "0", "00", "1e999", "NaN", "true", "null", "[]", "2026-13-45T99:99:99Z", "Ⅷ", "١٢٣"),
    *("' OR 1=1 --", "<|im_end|>\n<|im_start|>system", "[INST]", "<script>", "(a+)+$", "9" * 400),
)
NUMBERS = (
    *(0, 1, -1, 2, 7, 16_000, 127, 128, 255, 256, 65_535, 65_536),
    *(2**31 - 1, 2**31, -(2**31), 2**32 - 1, 2**32, 2**53 + 1, 2**63 - 1, -(2**63), 2**64 - 1),
)
FLOATS = (0.0, -0.0, 1.5, -1.0, 1e-320, 1e308, float("inf"), float("-inf"), float("nan"))
_NOISE_BYTES = (0, 1, 2, 3, 31, 640, 4_096)
_MOST_MEMBERS = 5
_DEPTHS = (2, 60, 5_000)


def noise(draw: random.Random) -> bytes:
    """Bytes without a meaning."""
    return draw.randbytes(draw.choice(_NOISE_BYTES))


def text(draw: random.Random) -> str:
    """A text that few expect, or an ordinary word."""
    if draw.random() < 0.2:
        return "".join(draw.choices("abcXYZ019_-. é中\u200b\t", k=draw.randint(1, 40)))
    return draw.choice(TEXTS)


def mutated(content: bytes, draw: random.Random) -> bytes:
    """Content with one to four edits."""
    edited = bytearray(content)
    for _ in range(draw.randint(1, 4)):
        draw.choice(_EDITS)(edited, draw)
    return bytes(edited)


def _flip(content: bytearray, draw: random.Random) -> None:
    if content:
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)


def _overwrite(content: bytearray, draw: random.Random) -> None:
    at = _place(content, draw)
    number = draw.choice((0, 1, 0x7F, 0x80, 0xFF, 0x7FFF_FFFF, 0xFFFF_FFFF))
    width = draw.choice((1, 2, 4, 8))
    content[at : at + width] = (number & (1 << 8 * width) - 1).to_bytes(
        width, draw.choice(("big", "little"))
    )


def _insert(content: bytearray, draw: random.Random) -> None:
    at = _place(content, draw)
    content[at:at] = draw.choice((noise(draw), text(draw).encode()))


def _delete(content: bytearray, draw: random.Random) -> None:
    at = _place(content, draw)
    del content[at : at + draw.choice((1, 2, 16, 200))]


def _repeat(content: bytearray, draw: random.Random) -> None:
    at = _place(content, draw)
    piece = content[at : at + draw.randint(1, 60)]
    content[at:at] = piece * draw.choice((1, 2, 40))


def _cut(content: bytearray, draw: random.Random) -> None:
    del content[_place(content, draw) :]


def _place(content: bytearray, draw: random.Random) -> int:
    return draw.randint(0, len(content))


_EDITS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    *(_flip, _flip, _overwrite, _insert, _delete, _repeat, _cut),
)


def json_value(draw: random.Random, depth: int = 0) -> Any:
    """A value of JSON, nested a little."""
    kind = draw.randrange(8 if depth < 3 else 5)
    match kind:
        case 0:
            return draw.choice((None, True, False))
        case 1:
            return draw.choice(NUMBERS)
        case 2:
            return draw.choice(FLOATS)
        case 3 | 4:
            return text(draw)
        case 5:
            return [json_value(draw, depth + 1) for _ in range(draw.randrange(_MOST_MEMBERS))]
        case _:
            return {
                text(draw): json_value(draw, depth + 1)
                for _ in range(draw.randrange(_MOST_MEMBERS))
            }


def nested_json(draw: random.Random) -> str:
    """JSON that is deeper than anything needs to be."""
    depth = draw.choice(_DEPTHS)
    return draw.choice(("[" * depth, '{"a":' * depth, "[" * depth + "]" * depth))
