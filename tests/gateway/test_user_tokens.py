"""Users' tokens are believed as the settings say, whatever a token says of itself."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey
from websockets.asyncio.client import connect

from gateway.access.presented import TICKET_SUBPROTOCOL
from gateway.access.published_keys import PublishedKeys, published_keys
from gateway.access.users import SignedUsers, TokenRules
from gateway.server.sockets import SUBPROTOCOL
from gateway.settings import GatewaySettings
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from services.runtime.settings.environment import SettingsError, load
from tests.support.access import bearer
from tests.support.gateway_rig import running_gateway
from tests.support.vendor import Answer, scripted_vendor

NOW = 1_800_000_000
RULES = TokenRules(
    issuer="https://id.example",
    audience="parley",
    algorithms=("RS256", "ES256"),
    clock_skew_s=30,
    tenant_claim="tenant",
)
CLAIMS: dict[str, Any] = {
    "iss": "https://id.example",
    "aud": ["other", "parley"],
    "sub": "ada",
    "tenant": "acme",
    "exp": NOW + 60,
}
RSA = RSAKey.generate_key(2048, {"kid": "rsa"}, private=True)
EC = ECKey.generate_key("P-256", {"kid": "ec"}, private=True)
STRANGER = RSAKey.generate_key(2048, {"kid": "rsa"}, private=True)


def published(*keys: Any) -> bytes:
    return json.dumps(KeySet(list(keys)).as_dict(private=False)).encode()


def token(key: Any = RSA, alg: str = "RS256", **claims: Any) -> str:
    given = {name: value for name, value in {**CLAIMS, **claims}.items() if value is not None}
    return jwt.encode({"alg": alg, "kid": key.kid}, given, key, algorithms=[alg])


def users(document: bytes = published(RSA, EC), rules: TokenRules = RULES) -> SignedUsers:
    async def read() -> bytes:
        return document

    return SignedUsers(rules=rules, keys=PublishedKeys(read), now=lambda: NOW)


async def is_refused(given: str, by: SignedUsers | None = None) -> bool:
    try:
        await (by or users()).read(given)
    except ServiceError as error:
        return error.reason is Reason.CREDENTIALS_INVALID
    return False


@pytest.mark.parametrize(("key", "alg"), [(RSA, "RS256"), (EC, "ES256")])
async def test_a_good_token_is_its_users(key: Any, alg: str) -> None:
    found = await users().read(token(key, alg))
    assert (found.tenant_id, found.user_id, found.role.name) == ("acme", "ada", "USER")


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.test"},
        {"iss": None},
        {"aud": "other"},
        {"aud": None},
        {"exp": NOW - 31},
        {"exp": None},
        {"exp": "soon"},
        {"nbf": NOW + 31},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "a" * 65},
        {"sub": "a\nb"},
        {"tenant": None},
        {"tenant": "../default"},
        {"tenant": ["acme"]},
    ],
    ids=str,
)
async def test_other_claims_are_refused(claims: dict[str, Any]) -> None:
    assert await is_refused(token(**claims))


async def test_clocks_may_differ_a_little() -> None:
    await users().read(token(exp=NOW - 29, nbf=NOW + 29))


async def test_a_token_does_not_choose_how_it_is_checked() -> None:
    public = json.dumps(RSA.as_dict(private=False)).encode()
    shared = OctKey.import_key(public, {"kid": "rsa"})
    forged = jwt.encode({"alg": "HS256", "kid": "rsa"}, CLAIMS, shared, algorithms=["HS256"])
    unsigned = f"{_b64({'alg': 'none'})}.{_b64(CLAIMS)}."
    strong = token(RSA, "PS256")
    for each in (forged, unsigned, strong, token(STRANGER), token()[:-4] + "AAAA", "a.b.c", ".."):
        assert await is_refused(each), each


async def test_keys_that_could_sign_are_not_published_ones() -> None:
    shared = OctKey.generate_key(256, {"kid": "oct"})
    document = json.dumps({"keys": [shared.as_dict(), RSA.as_dict(private=False)]}).encode()
    by = users(document, RULES)
    assert await is_refused(token(shared, "HS256"), by)
    await by.read(token())


async def test_without_a_tenant_claim_all_are_the_default_tenants() -> None:
    rules = TokenRules(
        issuer=RULES.issuer,
        audience=RULES.audience,
        algorithms=("RS256",),
        clock_skew_s=0,
        tenant_claim="",
    )
    assert (await users(rules=rules).read(token())).tenant_id == "default"


class Provider:
    """Publishes keys; counts how often it is asked."""

    def __init__(self) -> None:
        self.keys: list[Any] = [RSA]
        self.asked = 0
        self.now = 0.0
        self.begun = asyncio.Event()
        self.answering = asyncio.Event()
        self.answering.set()

    async def read(self) -> bytes:
        self.asked += 1
        self.begun.set()
        await self.answering.wait()
        if not self.keys:
            raise OSError("away")
        return published(*self.keys)

    def users(self) -> SignedUsers:
        keys = PublishedKeys(self.read, clock=lambda: self.now)
        return SignedUsers(rules=RULES, keys=keys, now=lambda: NOW)


async def test_new_keys_are_found_and_asking_is_bounded() -> None:
    provider = Provider()
    by = provider.users()
    await by.read(token())
    assert await is_refused(token(EC, "ES256"), by)
    assert provider.asked == 1
    provider.keys = [RSA, EC]
    provider.now = 11
    await by.read(token(EC, "ES256"))
    assert provider.asked == 2


async def test_known_keys_serve_on_while_the_provider_is_away() -> None:
    provider = Provider()
    by = provider.users()
    await by.read(token())
    provider.keys = []
    provider.now = 1000
    await by.read(token())
    assert provider.asked == 2


async def test_nobody_waits_for_newer_keys_while_there_are_some() -> None:
    provider = Provider()
    by = provider.users()
    await by.read(token())
    provider.begun.clear()
    provider.answering.clear()
    provider.now = 1000
    first = asyncio.create_task(by.read(token()))
    await provider.begun.wait()
    await by.read(token())
    assert not first.done()
    provider.answering.set()
    await first


async def test_without_any_keys_it_is_an_outage() -> None:
    provider = Provider()
    provider.keys = []
    with pytest.raises(ServiceError) as caught:
        await provider.users().read(token())
    assert caught.value.reason is Reason.DEPENDENCY_UNAVAILABLE


@pytest.mark.parametrize(
    ("status", "body", "is_good"),
    [
        (200, published(RSA), True),
        (200, b'{"keys": []}', False),
        (200, b"<html>", False),
        (200, b" " * 300_000 + published(RSA), False),
        (302, published(RSA), False),
        (500, published(RSA), False),
    ],
    ids=["good", "none", "page", "large", "elsewhere", "broken"],
)
async def test_keys_are_fetched(status: int, body: bytes, is_good: bool) -> None:
    async def accept(answer: Answer) -> None:
        await answer.whole(status, "application/json", body)

    async with (
        scripted_vendor(accept) as provider,
        published_keys(f"{provider.base_url}/jwks.json") as keys,
    ):
        by = SignedUsers(rules=RULES, keys=keys, now=lambda: NOW)
        if is_good:
            await by.read(token())
            return
        with pytest.raises(ServiceError) as caught:
            await by.read(token())
    assert caught.value.reason is Reason.DEPENDENCY_UNAVAILABLE


@pytest.fixture
async def of_file(tmp_path: Path) -> AsyncIterator[SignedUsers]:
    path = tmp_path / "jwks.json"
    path.write_bytes(published(RSA))
    async with published_keys(str(path)) as keys:
        yield SignedUsers(rules=RULES, keys=keys, now=lambda: NOW)


async def test_a_users_token_opens_the_users_own_tasks(of_file: SignedUsers) -> None:
    async with running_gateway(is_closed=True, users=of_file) as gateway:
        created = await gateway.client.post(
            "/api/digital-human/create-task",
            json={"roomId": "r", "streamId": "s", "greeting": ""},
            headers=bearer(token()),
        )
        assert (created.status_code, created.json()["userId"]) == (200, "ada")
        path = f"/api/digital-human/tasks/{created.json()['taskId']}"
        for claims, status in (
            ({}, 200),
            ({"sub": "bob"}, 404),
            ({"tenant": "rival"}, 404),
            ({"aud": "x"}, 401),
        ):
            answer = await gateway.client.get(path, headers=bearer(token(**claims)))
            assert answer.status_code == status


async def test_a_page_shows_a_users_token_to_a_socket_as_a_subprotocol(
    of_file: SignedUsers,
) -> None:
    async with running_gateway(is_closed=True, users=of_file) as gateway:
        url = f"{gateway.url.replace('http', 'ws')}/api/digital-human/talk?taskId=task_unknown"
        for claims, reason in (({}, "TASK_NOT_FOUND"), ({"aud": "x"}, "CREDENTIALS_INVALID")):
            offers = [SUBPROTOCOL, f"{TICKET_SUBPROTOCOL}{token(**claims)}"]
            async with connect(url, subprotocols=offers) as line:  # type: ignore[arg-type]
                assert json.loads(await line.recv())["problem"]["reason"] == reason
                assert line.subprotocol == SUBPROTOCOL


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GATEWAY_JWT_ISSUER", ""),
        ("GATEWAY_JWT_AUDIENCE", ""),
        ("GATEWAY_JWT_ALGORITHMS", "HS256"),
        ("GATEWAY_JWT_ALGORITHMS", "none"),
        ("GATEWAY_JWKS", ""),
        ("GATEWAY_JWKS", "ftp://id.example/jwks"),
        ("GATEWAY_JWKS", "http://id.example/jwks"),
    ],
)
def test_settings_that_would_believe_anybody_are_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    good = {
        "GATEWAY_JWKS": "https://id.example/jwks",
        "GATEWAY_JWT_ISSUER": "https://id.example",
        "GATEWAY_JWT_AUDIENCE": "parley",
    }
    for each, text in (good | {name: value}).items():
        monkeypatch.setenv(each, text)
    with pytest.raises(SettingsError, match=name):
        load(GatewaySettings)
    for each, text in good.items():
        monkeypatch.setenv(each, text)
    monkeypatch.delenv("GATEWAY_JWT_ALGORITHMS", raising=False)
    # Credentials are asked for, so that it may be reached from outside.
    monkeypatch.setenv("GATEWAY_HOST", "0.0.0.0")
    assert not load(GatewaySettings).is_open


def _b64(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
