"""Viewer tokens: the vendor's authenticated ones are read, all others are refused alike."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from engine.contract.token import ForeignToken, InvalidToken, read_token

VECTORS = json.loads((Path(__file__).parents[1] / "data" / "zego_vectors.json").read_text())
TOKENS = {
    vector["name"]: vector for vector in VECTORS["token04"]["vectors"] if vector["mode"] == "gcm"
}
UNAUTHENTICATED = [
    vector for vector in VECTORS["token04"]["vectors"] if vector not in TOKENS.values()
]


def read(vector: dict[str, Any], **changes: Any) -> Any:
    values = {
        "app_id": vector["app_id"],
        "server_secret": vector["secret"],
        "now": vector["now"],
        **changes,
    }
    return read_token(vector["token"], **values)


@pytest.mark.parametrize("vector", TOKENS.values(), ids=TOKENS.keys())
def test_vectors(vector: dict[str, Any]) -> None:
    token = read(vector)
    assert token.user_id == vector["user_id"]
    assert token.expire_time == vector["now"] + vector["effective_seconds"]
    token.require_login("room_1")
    if vector["payload"]:
        with pytest.raises(ForeignToken):
            token.require_login("room_2")
    else:
        token.require_login("room_2")


@pytest.mark.parametrize("vector", TOKENS.values(), ids=TOKENS.keys())
@pytest.mark.parametrize(
    "changes", [{"app_id": 1}, {"server_secret": "f" * 32}, {"now": 1700003600}]
)
def test_foreign_or_expired(vector: dict[str, Any], changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidToken):
        read(vector, **changes)


@pytest.mark.parametrize("vector", UNAUTHENTICATED, ids=lambda vector: vector["name"])
def test_a_cipher_without_authentication_is_refused_whoever_made_the_token(
    vector: dict[str, Any],
) -> None:
    with pytest.raises(InvalidToken):
        read(vector)


def test_token_is_good_until_its_last_second() -> None:
    read(TOKENS["gcm_basic_empty_payload"], now=1700003599)


@pytest.mark.parametrize(
    "vector", VECTORS["token04"]["negative"], ids=lambda vector: vector["name"]
)
def test_forged(vector: dict[str, Any]) -> None:
    with pytest.raises(InvalidToken):
        read_token(
            vector["token"], app_id=1234567890, server_secret=vector["secret"], now=1700000000
        )


@pytest.mark.parametrize("token", ["", "04", "03AAAA", "04!!!", "04é", "04" + "A" * 64])
def test_malformed(token: str) -> None:
    with pytest.raises(InvalidToken):
        read_token(token, app_id=1, server_secret="0" * 32, now=0)


def test_every_flipped_bit_of_a_token_is_refused_in_the_same_words() -> None:
    vector = TOKENS["gcm_privilege_login_publish"]
    packed = base64.b64decode(vector["token"][2:])
    for position in range(8 * len(packed)):
        changed = bytearray(packed)
        changed[position // 8] ^= 1 << position % 8
        with pytest.raises(InvalidToken, match=r"^the token is not valid$"):
            read({**vector, "token": "04" + base64.b64encode(changed).decode()})


def test_every_cut_of_a_token_is_refused() -> None:
    vector = TOKENS["gcm_privilege_login_publish"]
    for length in range(len(vector["token"])):
        with pytest.raises(InvalidToken):
            read({**vector, "token": vector["token"][:length]})
