"""Forms that are broken, and recordings that are damaged, as questions to the digital human."""

import random

import httpx

from bench.fuzz.findings import Findings
from bench.fuzz.levels.connections import reason_of
from bench.fuzz.levels.level import Level, Shot
from bench.fuzz.mutation import mutated, noise, text
from bench.fuzz.target import API, Target
from tests.support.recordings import FORMATS, recording

_PATH = f"{API}/talk-to-ai"
_EARLY = ((b"Prefer", b"respond-async"),)
_CHARSETS = ("utf-8", "punycode", "idna", "utf-16", "\xff", "", "utf-8; charset=latin-1", "rot13")
_BOUNDARIES = ("edge", "", "e" * 71, "e" * 3_000, '"', "--", "ed\x00ge", "edge; boundary=other")
_NAMES = ("taskId", "text", "audio", "lang", "publish", "x", "", "taskId[]", "a" * 3_000, "\xff")
_TYPES = (
    *("audio/wav", "audio/webm;codecs=opus", "audio/mp4", "audio/ogg", "audio/x-caf", "audio/L16"),
    *("audio/pcm", "audio/pcm;rate=24000", "audio/pcm;rate=-1;channels=9", "application/ogg"),
    *("video/webm", "audio/*", "audio/", "audio/wav; charset*=x''%ff", "text/html"),
)


async def fire_form(target: Target, shot: Shot, findings: Findings) -> None:
    """Post a form."""
    draw = shot.draw
    boundary = draw.choice(_BOUNDARIES) if draw.random() < 0.3 else "edge"
    kind = f"multipart/form-data; boundary={boundary}"
    if draw.random() < 0.2:
        kind += f"; charset={draw.choice(_CHARSETS)}"
    parts = [_part(target, draw) for _ in range(draw.choice((0, 1, 2, 2, 3, 3, 40, 1_200)))]
    content = b"".join(b"--edge\r\n" + each for each in parts) + b"--edge--\r\n"
    if draw.random() < 0.5:
        content = mutated(content, draw)
    await _post(target, shot, findings, content, kind)


async def fire_recording(target: Target, shot: Shot, findings: Findings) -> None:
    """Post a recording alone."""
    draw = shot.draw
    content = recording(*draw.choice(FORMATS))
    for _ in range(draw.randint(0, 3)):
        content = mutated(content, draw)
    await _post(target, shot, findings, content, draw.choice(_TYPES), taskId=target.task_id)


def _part(target: Target, draw: random.Random) -> bytes:
    name = draw.choice(_NAMES)
    head = f'Content-Disposition: form-data; name="{name}"'
    content: bytes = text(draw).encode()
    match name:
        case "taskId":
            content = target.task_id.encode() if draw.random() < 0.8 else content
        case "text":
            content = b"Hello there." if draw.random() < 0.3 else content
        case "audio":
            head += f'; filename="{text(draw)[:90]}"\r\nContent-Type: {draw.choice(_TYPES)}'
            content = draw.choice((recording("wav", "pcm_s16le"), noise(draw)))
    if draw.random() < 0.1:
        head += draw.choice(
            (
                "\r\nContent-Transfer-Encoding: base64",
                "\r\nContent-Type: text/plain; charset=punycode",
                "\r\nContent-Disposition: form-data; name=other",
                "; filename*=utf-7''%2B",
                "\r\n" + "X: y\r\n" * 90,
                "\r\nno colon",
            )
        )
    return head.encode("utf-8", "replace") + b"\r\n\r\n" + content + b"\r\n"


async def _post(
    target: Target, shot: Shot, findings: Findings, content: bytes, kind: str, **query: str
) -> None:
    headers = [*_EARLY, (b"Content-Type", kind.encode("latin-1", "replace"))]
    try:
        answer = await target.http.post(_PATH, content=content, headers=headers, params=query)
    except httpx.HTTPError as error:
        findings.note(shot.level, type(error).__name__)
        return
    findings.judge_http(
        *(shot.level, shot.number, answer.status_code, answer.content),
        reason=reason_of(answer.content),
    )


MULTIPART = Level(name="multipart", share=0.04, fire=fire_form, at_once=8)
MEDIA = Level(name="media", share=0.01, fire=fire_recording, at_once=4)
