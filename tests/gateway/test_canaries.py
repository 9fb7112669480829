"""Credentials and what is said come out of the gateway nowhere but where they belong."""

import asyncio
import logging
from typing import Any

import httpx
import pytest
import structlog
from websockets.sync.client import connect

from digitalhuman.access.v1 import access_pb2 as pb
from tests.support.access import bearer, channel_to, issuer
from tests.support.gateway_rig import RunningGateway, running_gateway

API = "/api/digital-human"
KEY = "canary-of-the-settings-0123456789"
WORDS = "the canary sings at noon"
# Of the test's own clients.
CLIENTS = ("httpx", "httpcore", "websockets.client", "asyncio")


def line(gateway: RunningGateway, query: str, **options: Any) -> None:
    """Open a line and read its first message."""
    url = f"{gateway.url.replace('http', 'ws')}{API}/talk?{query}"
    with connect(url, **options) as socket:
        socket.recv()


async def test_canaries_are_not_heard(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    answers: list[httpx.Response] = []
    with structlog.testing.capture_logs() as events:
        async with running_gateway(keys=(KEY,)) as gateway, channel_to(gateway) as channel:
            acme, rival = issuer(channel, "acme"), issuer(channel, "rival")
            key = (await acme.new_key(pb.ROLE_OPERATOR)).secret
            ticket = await acme.ticket(user_id="ada")
            once = await acme.ticket(user_id="ada", single_use=True)
            wrong = f"{ticket}-canary"
            canaries = (KEY, key, ticket, once, wrong, WORDS)

            async def ask(method: str, path: str, secret: str, **request: Any) -> Any:
                answer = await gateway.client.request(
                    method, path, headers=bearer(secret), **request
                )
                answers.append(answer)
                return answer.json() if path != "/metrics" else None

            body = {"roomId": "r", "streamId": "s", "greeting": WORDS}
            task_id = (await ask("POST", f"{API}/create-task", ticket, json=body))["taskId"]
            said = {"taskId": task_id, "text": WORDS}
            own = await gateway.client.post(f"{API}/talk-to-ai", json=said, headers=bearer(key))
            assert WORDS in own.text
            for secret in (wrong, once, (await rival.new_key(pb.ROLE_OPERATOR)).secret):
                await ask("GET", f"{API}/tasks", secret, params={"ticket": secret})
                await ask("POST", f"{API}/talk-to-ai", secret, json=said)
            for query in (f"taskId={task_id}&apiKey={wrong}", f"taskId={once}&ticket={once}"):
                await asyncio.to_thread(line, gateway, query)
            offers = ["parley.v1", f"parley.ticket.{ticket}"]
            await asyncio.to_thread(line, gateway, f"taskId={task_id}", subprotocols=offers)
            await ask("GET", "/metrics", KEY)

    ours = [each for each in caplog.records if not each.name.startswith(CLIENTS)]
    told = [
        *map(str, events),
        *(each.getMessage() for each in ours),
        *(f"{answer.headers}{answer.text}" for answer in answers),
    ]
    assert any("request ended" in each for each in told)
    assert any("socket ended" in each for each in told)
    assert [each for each in told for canary in canaries if canary in each] == []
