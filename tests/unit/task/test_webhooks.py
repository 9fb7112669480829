"""Signatures as others compute them, and what a host may resolve to."""

import asyncio
import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.runtime.network.public_network import PublicNetwork
from services.runtime.security.vault import UnreadableSecret, Vault
from services.task.webhooks.courier import courier_to
from services.task.webhooks.deliverer import Backoff
from services.task.webhooks.signature import SigningKey, new_key, signed
from services.task.webhooks.webhook import Receiver, StoredKey, Webhook

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_signature_is_that_of_standard_webhooks() -> None:
    # The example of the specification's libraries.
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signed(
        [SigningKey(key_id="key", secret=secret)],
        event_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
        body=b'{"test": 2432232314}',
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_key_shows_no_secret() -> None:
    key = new_key()
    assert key.text.removeprefix("whsec_") not in repr(key)
    assert key.text != new_key().text


def test_pauses_grow_to_an_hour_and_differ() -> None:
    backoff = Backoff()
    means = [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600]
    for attempts, mean in enumerate(means, start=1):
        pauses = {backoff.after(attempts) for _ in range(20)}
        assert len(pauses) > 1
        assert all(
            timedelta(seconds=0.8 * mean) <= each <= timedelta(seconds=1.2 * mean)
            for each in pauses
        )
    assert backoff.after(10_000) <= timedelta(hours=1.2)


def test_secrets_are_read_by_the_key_that_encrypted_them_alone() -> None:
    former, newer = ("A" * 43 + "=", "B" * 43 + "=")
    stored = Vault([former]).seal(b"secret")
    assert b"secret" not in stored
    assert Vault([newer, former]).unseal(stored) == b"secret"
    for keys in ([newer], []):
        with pytest.raises(UnreadableSecret):
            Vault(keys).unseal(stored)
    assert Vault([newer]).unseal(Vault([]).seal(b"secret")) == b"secret"


async def test_a_name_that_leads_to_a_private_address_is_not_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def resolve(host: str, port: int, **_: Any) -> Any:
        return [(None, None, None, "", (address, port)) for address in ("1.1.1.1", "10.0.0.1")]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve, raising=False)
    webhook = Webhook(
        webhook_id="w", tenant_id="default", url="https://example.com/", create_time=NOW
    )
    vault = Vault([])
    key = StoredKey(key_id="k", secret=vault.seal(b"secret"), create_time=NOW)
    async with courier_to(PublicNetwork(), vault, lambda: NOW) as courier:
        failure = await courier.send(
            Receiver(webhook=webhook, keys=(key,)), event_id="evt", body=b"{}"
        )
    assert failure == "its host has an address that is not public"
