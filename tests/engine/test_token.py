"""Tokens: good for one purpose and one application, and refused alike otherwise."""

from collections.abc import Callable
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from engine.contract.drive_token import DriveTokens
from engine.contract.token import InvalidToken, Purpose, Tokens, derive_key
from engine.contract.viewer_token import ForeignToken, ViewerToken, ViewerTokens
from services.avatar.vendor.engine_token import sign_engine_token

SECRET = "0123456789abcdef0123456789abcdef"
NOW = 1_700_000_000


def make(**changes: Any) -> str:
    """A token as the avatar service issues it."""
    values: dict[str, Any] = {
        "app_id": 42,
        "user_id": "ada",
        "room_id": "room-1",
        "secret": SECRET,
        "effective_s": 600,
        "now": NOW,
    }
    return sign_engine_token(**(values | changes))


def read(token: str, *, now: float = NOW, app_id: int = 42, secret: str = SECRET) -> ViewerToken:
    return ViewerTokens(app_id=app_id, server_secrets=secret.split(","), now=lambda: now).read(
        token
    )


def test_the_services_token_admits_its_user_to_its_room() -> None:
    granted = read(make())
    assert granted.user_id == "ada"
    granted.require_room("room-1")
    with pytest.raises(ForeignToken):
        granted.require_room("room-2")


def test_a_token_of_the_older_secret_is_good_while_that_is_accepted() -> None:
    newer = "f" * 32
    for secret in (SECRET, newer):
        assert read(make(secret=secret), secret=f"{newer},{SECRET}").user_id == "ada"
    with pytest.raises(InvalidToken):
        read(make(), secret=newer)


def test_a_token_without_a_room_is_for_any() -> None:
    read(make(room_id="")).require_room("room-2")


def test_a_token_is_good_until_its_last_second() -> None:
    read(make(), now=NOW + 599)
    with pytest.raises(InvalidToken):
        read(make(), now=NOW + 601)


def test_the_issuers_clock_may_be_ahead() -> None:
    read(make(now=NOW + 60))


CHANGES: list[dict[str, Any]] = [{"app_id": 43}, {"secret": "f" * 32}]


@pytest.mark.parametrize("changes", CHANGES)
def test_another_application_or_secret_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidToken):
        read(make(**changes))


def sign(key: bytes, claims: dict[str, Any]) -> str:
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(key))


def test_the_keys_of_purposes_are_neither_the_secret_nor_each_other() -> None:
    secret = SECRET.encode()
    assert len({secret, *(derive_key(secret, each) for each in Purpose)}) == 1 + len(Purpose)
    claims = {"aud": "viewer", "iss": "42", "sub": "ada", "exp": NOW + 600}
    read(sign(derive_key(secret, Purpose.VIEWER), claims))
    for key in (secret, derive_key(secret, Purpose.DRIVE)):
        with pytest.raises(InvalidToken):
            read(sign(key, claims))


LACKING: list[Callable[[dict[str, Any]], Any]] = [
    lambda claims: claims.pop("aud"),
    lambda claims: claims.pop("exp"),
    lambda claims: claims.pop("iss"),
    lambda claims: claims.pop("sub"),
    lambda claims: claims.update(aud="drive"),
    lambda claims: claims.update(exp="never"),
    lambda claims: claims.update(sub=5),
    lambda claims: claims.update(room=5),
]


@pytest.mark.parametrize("spoil", LACKING)
def test_claims_that_are_missing_or_odd_are_refused(spoil: Callable[[dict[str, Any]], Any]) -> None:
    claims = {"aud": "viewer", "iss": "42", "sub": "ada", "exp": NOW + 600}
    spoil(claims)
    with pytest.raises(InvalidToken):
        read(sign(derive_key(SECRET.encode(), Purpose.VIEWER), claims))


def test_a_drive_token_names_a_task() -> None:
    tokens = DriveTokens(now=lambda: NOW)
    assert tokens.read(tokens.issue("task-1")) == "task-1"
    nameless = Tokens(purpose=Purpose.DRIVE, secret=tokens.secret, now=tokens.now)
    with pytest.raises(InvalidToken):
        tokens.read(nameless.issue({"LiveId": 5}, life_s=60))
    with pytest.raises(InvalidToken):
        DriveTokens(now=lambda: NOW).read(tokens.issue("task-1"))


def test_every_cut_of_a_token_is_refused() -> None:
    token = make()
    for length in range(len(token)):
        with pytest.raises(InvalidToken, match=r"^the token is not valid$"):
            read(token[:length])
