"""What cannot be trusted is refused in one way, so that nobody learns from a refusal."""

import base64
import json
import secrets
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.padding import PKCS7
from joserfc import jwt
from joserfc.jwk import OctKey
from websockets.exceptions import InvalidStatus

from tests.support.engine_cloud import Cloud, make_viewer_token, open_socket

BLOCK_BYTES = 16
# Coprime to the lengths in a token, so that all of its parts are met.
STRIDE = 29


def pack(expire: int, nonce: bytes, sealed: bytes, trailer: bytes) -> str:
    packed = struct.pack(">qH", expire, len(nonce)) + nonce
    packed += struct.pack(">H", len(sealed)) + sealed + trailer
    return "04" + base64.b64encode(packed).decode()


def claim(cloud: Cloud, **changes: Any) -> dict[str, Any]:
    now = int(cloud.now())
    claims = {"app_id": cloud.engine.app_id, "user_id": "u", "expire": now + 600, "payload": ""}
    return claims | changes


def seal_cbc(cloud: Cloud, plaintext: bytes, *, padded: bool = True) -> str:
    key, iv = cloud.engine.server_secret.encode(), secrets.token_bytes(BLOCK_BYTES)
    if padded:
        padder = PKCS7(8 * BLOCK_BYTES).padder()
        plaintext = padder.update(plaintext) + padder.finalize()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    return pack(int(cloud.now()) + 600, iv, encryptor.update(plaintext), b"")


def seal_gcm(cloud: Cloud, plaintext: bytes, *, nonce_bytes: int = 12) -> str:
    key, nonce = cloud.engine.server_secret.encode(), secrets.token_bytes(nonce_bytes)
    sealed = AESGCM(key).encrypt(nonce, plaintext, None)
    return pack(int(cloud.now()) + 600, nonce, sealed, b"\1")


def flip(token: str) -> Iterator[str]:
    """The token with one bit changed, once here and once there."""
    packed = base64.b64decode(token[2:])
    for position in range(0, len(packed), STRIDE):
        changed = bytearray(packed)
        changed[position] ^= 1 << position % 8
        yield "04" + base64.b64encode(changed).decode()


def forge(cloud: Cloud) -> Iterator[str]:
    """Tokens that cannot be trusted, of every kind."""
    good = json.dumps(claim(cloud)).encode()
    yield from flip(make_viewer_token(cloud.engine))
    # The oracle: a padding that is right, one that is wrong, claims and none behind either.
    yield from flip(seal_cbc(cloud, good))
    yield seal_cbc(cloud, good)
    yield seal_cbc(cloud, b"no claims")
    yield seal_cbc(cloud, b"\0" * BLOCK_BYTES, padded=False)
    yield make_viewer_token(cloud.engine, secret="f" * 32)
    yield make_viewer_token(cloud.engine, life_s=-1)
    yield seal_gcm(cloud, good, nonce_bytes=16)
    yield seal_gcm(cloud, json.dumps(claim(cloud, app_id=2)).encode())
    yield seal_gcm(cloud, json.dumps(claim(cloud, expire=2**40)).encode())
    yield seal_gcm(cloud, json.dumps(claim(cloud, user_id="")).encode())
    yield seal_gcm(cloud, json.dumps(claim(cloud, payload=None)).encode())
    yield seal_gcm(cloud, b"no claims")
    yield seal_gcm(cloud, b"[" * 10_000)
    yield from ("x", "04", "04=", "04AAAA", "03" + make_viewer_token(cloud.engine)[2:])


async def test_every_viewer_token_that_cannot_be_trusted_gets_the_same_answer(
    cloud: Cloud,
) -> None:
    await cloud.go_on_air()
    answers = set()
    for stream_id in ("stream-1", "stream-9"):
        for token in forge(cloud):
            response = await cloud.post_offer(stream_id, "", token=token)
            headers = {name: text for name, text in response.headers.items() if name != "date"}
            answers.add((response.status_code, response.text, str(headers)))
    assert len(answers) == 1
    assert next(iter(answers))[0] == 401


def alter_header(token: str, header: Any) -> str:
    encoded = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    return ".".join([encoded, *token.split(".")[1:]])


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


async def test_every_drive_token_that_cannot_be_trusted_gets_the_same_answer(
    cloud: Cloud,
) -> None:
    task_id = await cloud.go_on_air()
    _, address = await cloud.begin_drive(task_id)
    base, _, good = address.partition("Token=")
    foreign = jwt.encode(
        {"alg": "HS256"}, {"LiveId": task_id, "exp": 2**40}, OctKey.import_key("k" * 32)
    )
    tokens = ["", "x", "a.b.c", good[:-4], good + "x", good.replace(".", ""), foreign]
    tokens += [alter_header(good, header) for header in HEADERS]
    answers = set()
    for token in tokens:
        with pytest.raises(InvalidStatus) as refused:
            async with open_socket(f"{base}Token={token}"):
                pass
        response = refused.value.response
        headers = [each for each in response.headers.raw_items() if each[0] != "Date"]
        answers.add((response.status_code, bytes(response.body or b""), str(headers)))
    assert len(answers) == 1
    assert next(iter(answers))[0] == 401
