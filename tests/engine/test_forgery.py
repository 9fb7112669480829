"""What cannot be trusted is refused in one way, so that nobody learns from a refusal."""

import base64
import json
import random
import secrets
import struct
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from joserfc import jwt
from joserfc.jwk import OctKey
from websockets.exceptions import InvalidStatus

from engine.contract.token import Purpose, derive_key
from tests.engine.conftest import OpenCloud
from tests.support.engine_cloud import Cloud, ManualClock, make_viewer_token, open_socket

BLOCK_BYTES = 16
ALTERED = 400
SEED = 12


@pytest.fixture
async def cloud(open_cloud: OpenCloud, clock: ManualClock) -> Cloud:
    """Its clock is moved from one attempt to the next, so that none is throttled."""
    cloud = await open_cloud(clock=clock)
    await cloud.go_on_air()
    return cloud


def decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def encode(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def alter(token: str, draw: random.Random) -> str:
    """The token with one bit of one part changed."""
    parts = [bytearray(decode(part)) for part in token.split(".")]
    part = draw.choice(parts)
    part[draw.randrange(len(part))] ^= 1 << draw.randrange(8)
    return ".".join(encode(bytes(part)) for part in parts)


def alter_header(token: str, header: Any) -> str:
    return ".".join([encode(json.dumps(header).encode()), *token.split(".")[1:]])


HEADERS: list[Any] = [
    {"alg": "none"},
    {"alg": "HS512"},
    {"alg": None},
    {"alg": []},
    {"alg": "HS256", "crit": 5},
    {"alg": "HS256", "crit": ["b64"], "b64": False},
    {"alg": "HS256", "kid": {}},
    [],
    5,
]


def write_token04(cloud: Cloud, *, is_authenticated: bool) -> str:
    """A token of the vendor's cloud, made with the right secret by either of its ciphers."""
    key, expire = cloud.engine.server_secret.encode(), int(cloud.now()) + 600
    claims = {"app_id": cloud.engine.app_id, "user_id": "u", "expire": expire, "payload": ""}
    plaintext = json.dumps(claims).encode()
    if is_authenticated:
        nonce, trailer = secrets.token_bytes(12), b"\1"
        sealed = AESGCM(key).encrypt(nonce, plaintext, None)
    else:
        nonce, trailer = secrets.token_bytes(BLOCK_BYTES), b""
        padding = BLOCK_BYTES - len(plaintext) % BLOCK_BYTES
        encryptor = Cipher(algorithms.AES(key), modes.CBC(nonce)).encryptor()
        sealed = encryptor.update(plaintext + bytes([padding]) * padding)
    packed = struct.pack(">qH", expire, len(nonce)) + nonce
    packed += struct.pack(">H", len(sealed)) + sealed + trailer
    return "04" + base64.b64encode(packed).decode()


def forge(cloud: Cloud) -> Iterator[str]:
    """Tokens that cannot be trusted, of every kind."""
    now = cloud.now()
    good = make_viewer_token(cloud.engine, now=now)
    yield from (alter_header(good, header) for header in HEADERS)
    yield make_viewer_token(cloud.engine, now=now, secret="f" * 32)
    yield make_viewer_token(cloud.engine, now=now, life_s=-1)
    yield make_viewer_token(cloud.engine, now=now, purpose=Purpose.DRIVE)
    yield make_viewer_token(cloud.engine, now=now, iss="2")
    yield make_viewer_token(cloud.engine, now=now, sub=None)
    yield make_viewer_token(cloud.engine, now=now, room=5)
    key = OctKey.import_key(derive_key(cloud.engine.server_secret.encode(), Purpose.VIEWER))
    yield jwt.encode({"alg": "HS256"}, {"exp": "never"}, key)
    yield f"{encode(b'[' * 10_000)}.{good.partition('.')[2]}"
    yield write_token04(cloud, is_authenticated=True)
    yield write_token04(cloud, is_authenticated=False)
    yield from ("x", "a.b.c", "..", good + "x", good.replace(".", ""), "04AAAA")


async def ask(
    cloud: Cloud, clock: ManualClock, token: str, stream_id: str = "stream-1"
) -> httpx.Response:
    clock.advance(2)
    return await cloud.post_offer(stream_id, "", token=token)


def describe(response: httpx.Response) -> tuple[int, str, str]:
    headers = {name: text for name, text in response.headers.items() if name != "date"}
    return response.status_code, response.text, str(headers)


async def test_every_viewer_token_that_cannot_be_trusted_gets_the_same_answer(
    cloud: Cloud, clock: ManualClock
) -> None:
    answers = {
        describe(await ask(cloud, clock, token, stream_id))
        for stream_id in ("stream-1", "stream-9")
        for token in forge(cloud)
    }
    assert len(answers) == 1
    assert next(iter(answers))[0] == 401


async def test_no_altered_bit_is_told_from_another(cloud: Cloud, clock: ManualClock) -> None:
    draw = random.Random(SEED)
    answers: Counter[tuple[int, str, str]] = Counter()
    for _ in range(ALTERED):
        good = make_viewer_token(cloud.engine, now=cloud.now())
        answers[describe(await ask(cloud, clock, alter(good, draw)))] += 1
    assert list(answers.values()) == [ALTERED]
    assert next(iter(answers))[0] == 401
    # It is the alteration that is refused: the last one's original is believed.
    assert (await ask(cloud, clock, good)).status_code == 400


async def test_every_drive_token_that_cannot_be_trusted_gets_the_same_answer(
    cloud: Cloud,
) -> None:
    task_id = await cloud.create("stream-2")
    await cloud.receiver.until_task(task_id, 3)
    _, address = await cloud.begin_drive(task_id)
    base, _, good = address.partition("Token=")
    foreign = jwt.encode(
        {"alg": "HS256"}, {"LiveId": task_id, "exp": 2**40}, OctKey.import_key("k" * 32)
    )
    viewer = make_viewer_token(cloud.engine, now=cloud.now())
    tokens = ["", "x", "a.b.c", good[:-4], good + "x", good.replace(".", ""), foreign, viewer]
    tokens += [alter_header(good, header) for header in HEADERS]
    answers = set()
    for token in tokens:
        answers.add(await knock(f"{base}Token={token}"))
    assert len(answers) == 1
    assert next(iter(answers))[0] == 401


async def test_no_altered_bit_of_a_drive_token_is_told_from_another(
    cloud: Cloud, clock: ManualClock
) -> None:
    task_id = await cloud.create("stream-2")
    await cloud.receiver.until_task(task_id, 3)
    _, address = await cloud.begin_drive(task_id)
    base, _, good = address.partition("Token=")
    draw = random.Random(SEED)
    answers: Counter[tuple[int, bytes, str]] = Counter()
    for _ in range(ALTERED // 4):
        clock.advance(2)
        answers[await knock(f"{base}Token={alter(good, draw)}")] += 1
    assert list(answers.values()) == [ALTERED // 4]
    assert next(iter(answers))[0] == 401
    # It is the alteration that is refused.
    async with open_socket(address):
        pass


async def knock(address: str) -> tuple[int, bytes, str]:
    """Return how a drive socket is refused."""
    with pytest.raises(InvalidStatus) as refused:
        async with open_socket(address):
            pass
    response = refused.value.response
    headers = [each for each in response.headers.raw_items() if each[0] != "Date"]
    return response.status_code, bytes(response.body or b""), str(headers)
