"""The one door: every route asks who calls, and shows nobody what is another's."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
import pytest_asyncio
from fastapi.routing import APIRoute
from starlette.routing import Mount, Route, WebSocketRoute
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from digitalhuman.access.v1 import access_pb2 as pb
from gateway.access.principal import Clearance
from gateway.access.routes import ANY, ROUTES, SOCKET, needed_for
from tests.support.access import Issuer, bearer, channel_to, issuer
from tests.support.gateway_rig import RunningGateway, running_gateway

API = "/api/digital-human"
TASK = f"{API}/tasks/{{taskId}}"
WEBHOOK = f"{API}/webhooks/{{webhookId}}"
REQUEST_ID = str(uuid.uuid4())


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A good request for a route; TASK stands for the id of a task that is on air."""

    method: str
    path: str
    params: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] | None = None
    names_task: bool = True

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    def filled(self, task_id: str) -> dict[str, Any]:
        """Return the arguments of a request about a task."""
        values = {
            "taskId": task_id,
            "turnId": "1",
            "requestId": REQUEST_ID,
            "keyId": "key_1",
            "ticketId": "ticket_1",
            "webhookId": "whk_1",
        }
        path = self.path.format(**values)
        body = self.body and {**self.body, **({"taskId": task_id} if self.names_task else {})}
        return {"method": self.method, "url": path, "params": self.params, "json": body}


EXAMPLES = [
    # With a task: in the path, in the body, or as its room.
    Example(
        method="GET",
        path="/api/token",
        params={"userId": "u", "roomId": "room_1", "streamId": "stream_1"},
    ),
    Example(method="GET", path=TASK),
    Example(method="GET", path=f"{TASK}/events"),
    Example(method="GET", path=f"{TASK}/conversation"),
    Example(method="GET", path=f"{TASK}/turns/{{turnId}}/ledger"),
    Example(method="DELETE", path=f"{TASK}/say/{{requestId}}"),
    Example(method="DELETE", path=f"{TASK}/conversation"),
    Example(method="PATCH", path=TASK, body={"context": "x"}),
    Example(method="POST", path=f"{API}/stop-task", body={"": ""}),
    Example(method="POST", path=f"{API}/talk-to-ai", body={"text": "Hi?"}),
    Example(method="POST", path=f"{API}/say", body={"text": "Hi."}),
    Example(method="POST", path=f"{API}/greet", body={"": ""}),
    Example(method="POST", path=f"{API}/interrupt", body={"": ""}),
    Example(method="POST", path=f"{API}/tool-result", body={"callId": "c", "result": "r"}),
    Example(method="POST", path=f"{API}/action", body={"action": "nod"}),
    Example(method="POST", path=f"{API}/tickets", body={"": ""}),
    # Without.
    Example(
        method="POST",
        path=f"{API}/create-task",
        body={"roomId": "room_2", "streamId": "stream_2", "greeting": ""},
        names_task=False,
    ),
    Example(method="GET", path=f"{API}/tasks", names_task=False),
    Example(method="GET", path="/api/config", names_task=False),
    Example(method="GET", path="/api/v1/audio/voices", names_task=False),
    Example(method="POST", path="/api/v1/audio/speech", body={"input": "Hi."}, names_task=False),
    Example(method="GET", path=f"{API}/usage", names_task=False),
    Example(method="POST", path=f"{API}/export-user", body={"userId": "eve"}, names_task=False),
    Example(method="POST", path=f"{API}/erase-user", body={"userId": "eve"}, names_task=False),
    Example(method="GET", path=f"{API}/keys", names_task=False),
    Example(method="POST", path=f"{API}/keys", body={"name": "shop"}, names_task=False),
    Example(method="DELETE", path=f"{API}/keys/{{keyId}}", names_task=False),
    Example(method="DELETE", path=f"{API}/tickets/{{ticketId}}", names_task=False),
    Example(method="GET", path=f"{API}/webhooks", names_task=False),
    Example(
        method="POST",
        path=f"{API}/webhooks",
        body={"url": "https://example.com/"},
        names_task=False,
    ),
    Example(method="DELETE", path=WEBHOOK, names_task=False),
    Example(method="POST", path=f"{WEBHOOK}/rotate-key", body={"": ""}, names_task=False),
    Example(method="POST", path=f"{WEBHOOK}/test", names_task=False),
    Example(method="GET", path=f"{WEBHOOK}/dead-letters", names_task=False),
    Example(method="POST", path=f"{WEBHOOK}/dead-letters/replay", body={"": ""}, names_task=False),
    Example(method="GET", path=f"{API}/audit", names_task=False),
    Example(method="POST", path=f"{API}/reconcile", body={"dryRun": True}, names_task=False),
    Example(method="GET", path="/metrics", names_task=False),
]
WITH_TASK = [each for each in EXAMPLES if each.names_task]
LINE = f"{API}/talk"
pytestmark = pytest.mark.asyncio(loop_scope="module")
NOT_FOUND_SOCKET = (SOCKET, "/{path:path}")


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """A closed gateway where tenant `acme` has a task of Ada's on air."""

    gateway: RunningGateway
    acme: Issuer
    rival: Issuer
    task_id: str

    async def status(self, example: Example, headers: dict[str, str]) -> int:
        """Return the status of the answer to a request."""
        given = example.filled(self.task_id)
        async with self.gateway.client.stream(headers=headers, **given) as answer:
            return answer.status_code

    def done(self) -> list[int]:
        """Return how often the services behind have done something."""
        tasks, speech, avatars = self.gateway.tasks, self.gateway.speech, self.gateway.avatars
        seen = (tasks.stops, tasks.deleted, speech.texts, avatars.actions, avatars.tokens)
        return [len(each) for each in seen]

    def line_code(self, *, headers: dict[str, str] | None = None, **options: Any) -> int | str:
        """Return the code that closes a line, or the first message's type."""
        url = f"{self.gateway.url.replace('http', 'ws')}{LINE}?taskId={self.task_id}"
        query = options.pop("query", "")
        with connect(url + query, additional_headers=headers, **options) as line:
            told = json.loads(line.recv())
            if "problem" not in told:
                return str(told["event"])
            with pytest.raises(ConnectionClosed) as closed:
                line.recv()
            assert closed.value.rcvd is not None
            return int(closed.value.rcvd.code)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def closed() -> AsyncIterator[tuple[RunningGateway, grpc.aio.Channel]]:
    """A closed gateway that does not count bad credentials, and a channel to what is behind it."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("gateway.access.authenticator.FAILURES_PER_SECOND", 1000.0)
        async with running_gateway(is_closed=True) as gateway, channel_to(gateway) as channel:
            yield gateway, channel


@pytest_asyncio.fixture(loop_scope="module")
async def house(closed: tuple[RunningGateway, grpc.aio.Channel]) -> House:
    """Tenants of the test's own, of whom others know nothing."""
    gateway, channel = closed
    name = uuid.uuid4().hex[:8]
    acme, rival = issuer(channel, f"acme-{name}"), issuer(channel, f"rival-{name}")
    created = await gateway.client.post(
        f"{API}/create-task",
        json={"roomId": "room_1", "streamId": "stream_1", "userId": "ada", "greeting": ""},
        headers=await acme.key(pb.ROLE_SERVER),
    )
    assert created.status_code == 200, created.text
    return House(gateway=gateway, acme=acme, rival=rival, task_id=created.json()["taskId"])


def routes_of(routes: Sequence[Any]) -> set[tuple[str, str]]:
    """Return the method and path of everything that an application serves."""
    found: set[tuple[str, str]] = set()
    for route in routes:
        if router := getattr(route, "original_router", None):
            found |= routes_of(router.routes)
            continue
        match route:
            case APIRoute() | Route():
                found |= {(method, route.path) for method in set(route.methods or ()) - {"HEAD"}}
            case WebSocketRoute():
                found.add((SOCKET, route.path))
            case Mount():
                found.add((ANY, f"{route.path}/{{path:path}}"))
            case _:
                raise AssertionError(f"an unknown kind of route: {route}")
    return found


async def test_every_route_is_in_the_table(shared_gateway: RunningGateway) -> None:
    described = (await shared_gateway.client.get("/openapi.json")).json()["paths"]
    served = routes_of(shared_gateway.app.routes) | {
        (method.upper(), path) for path, methods in described.items() for method in methods
    }
    listed = {(route.method, route.path) for route in ROUTES}
    for method, path in served - {NOT_FOUND_SOCKET}:
        assert listed & {(method, path), (ANY, path)}, f"{method} {path} is not in the table"
    # /favicon.ico is asked for by browsers, and answered with 404.
    paths = {path for _, path in served} | {"/favicon.ico"}
    assert {path for _, path in listed} <= paths


async def test_every_guarded_route_has_an_example_here() -> None:
    guarded = {(each.method, each.path) for each in ROUTES if each.needed is not Clearance.NONE}
    assert guarded == {(each.method, each.path) for each in EXAMPLES} | {(SOCKET, LINE)}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda each: each.name)
async def test_nothing_is_answered_without_a_good_credential(
    house: House, example: Example
) -> None:
    bad = ("x", "parley_key_x", "parley_ticket_x", "parley_once_x", "a.b.c")
    answers = []
    for headers in ({}, *map(bearer, bad)):
        given = example.filled(house.task_id)
        answer = await house.gateway.client.request(headers=headers, **given)
        assert answer.status_code == 401
        problem = answer.json()
        problem.pop("requestId")
        answers.append(problem)
    assert all(each == answers[0] for each in answers)


@pytest.mark.parametrize("example", WITH_TASK, ids=lambda each: each.name)
async def test_another_tenants_task_is_not_found(house: House, example: Example) -> None:
    before = house.done()
    for role in (pb.ROLE_OPERATOR, pb.ROLE_SERVER):
        assert await house.status(example, await house.rival.key(role)) == 404
    assert house.done() == before


@pytest.mark.parametrize("example", WITH_TASK, ids=lambda each: each.name)
async def test_another_users_task_is_not_found(house: House, example: Example) -> None:
    bob = await house.acme.key(pb.ROLE_USER, user_id="bob")
    is_allowed = needed_for(example.method, example.filled("t")["url"]) <= Clearance.USER
    assert await house.status(example, bob) == (404 if is_allowed else 403)


@pytest.mark.parametrize("example", WITH_TASK, ids=lambda each: each.name)
async def test_another_task_than_the_tickets_is_not_found(house: House, example: Example) -> None:
    other = await house.gateway.client.post(
        f"{API}/create-task",
        json={"roomId": "room_9", "streamId": "stream_9", "userId": "ada", "greeting": ""},
        headers=await house.acme.key(pb.ROLE_SERVER),
    )
    asked = len(house.gateway.speech.setups)
    bound = bearer(await house.acme.ticket(task_id=other.json()["taskId"]))
    unbound = bearer(await house.acme.ticket(user_id="ada"))
    is_allowed = needed_for(example.method, example.filled("t")["url"]) <= Clearance.TICKET
    for ticket in (bound, unbound):
        assert await house.status(example, ticket) == (404 if is_allowed else 403)
    assert len(house.gateway.speech.setups) == asked


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda each: each.name)
async def test_a_route_opens_from_its_clearance_on(house: House, example: Example) -> None:
    needed = needed_for(example.method, example.filled("t")["url"])
    default = Issuer(access=house.acme.access, tenant_id="default")
    held = {
        Clearance.TICKET: bearer(await house.acme.ticket(task_id=house.task_id)),
        Clearance.USER: await house.acme.key(pb.ROLE_USER, user_id="ada"),
        Clearance.SERVER: await house.acme.key(pb.ROLE_SERVER),
        Clearance.OPERATOR: await house.acme.key(pb.ROLE_OPERATOR),
        Clearance.DEPLOYMENT: await default.key(pb.ROLE_OPERATOR),
    }
    for clearance, headers in held.items():
        is_denied = await house.status(example, headers) == 403
        assert is_denied == (clearance < needed), clearance


async def test_the_line_asks_as_every_route_does(house: House) -> None:
    rival = await house.rival.key(pb.ROLE_OPERATOR)
    bob = await house.acme.key(pb.ROLE_USER, user_id="bob")
    other = bearer(await house.acme.ticket(user_id="ada"))
    own = bearer(await house.acme.ticket(task_id=house.task_id))

    def codes(*headers: dict[str, str] | None) -> list[int | str]:
        return [house.line_code(headers=each) for each in headers]

    found = await asyncio.to_thread(codes, None, bearer("x"), rival, bob, other, own)
    assert found == [4401, 4401, 4404, 4404, 4404, "ready"]


async def test_a_ticket_may_be_a_subprotocol(house: House) -> None:
    ticket = await house.acme.ticket(task_id=house.task_id)

    def call(secret: str) -> tuple[int | str, str | None]:
        offers = ["parley.v1", f"parley.ticket.{secret}"]
        url = f"{house.gateway.url.replace('http', 'ws')}{LINE}?taskId={house.task_id}"
        with connect(url, subprotocols=offers) as line:  # type: ignore[arg-type]
            return json.loads(line.recv()).get("event", "problem"), line.subprotocol

    # The ticket is never sent back, nor is a browser left without an accepted subprotocol.
    assert await asyncio.to_thread(call, ticket) == ("ready", "parley.v1")
    assert await asyncio.to_thread(call, "parley_ticket_x") == ("problem", "parley.v1")


async def test_only_a_ticket_for_one_use_may_stand_in_an_address(house: House) -> None:
    path = f"{API}/tasks/{house.task_id}/conversation"
    once = await house.acme.ticket(task_id=house.task_id, single_use=True)
    again = await house.acme.ticket(task_id=house.task_id)

    async def ask(ticket: str) -> int:
        return (await house.gateway.client.get(path, params={"ticket": ticket})).status_code

    assert [await ask(once), await ask(once), await ask(again)] == [200, 401, 401]
    once = await house.acme.ticket(task_id=house.task_id, single_use=True)

    def lines() -> list[int | str]:
        queries = (f"&ticket={once}", f"&ticket={once}", f"&ticket={again}", f"&apiKey={again}")
        return [house.line_code(query=query) for query in queries]

    assert await asyncio.to_thread(lines) == ["ready", 4401, 4401, 4401]


async def test_a_revoked_key_is_refused_within_seconds(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.backend.directory.REMEMBERED_S", 0.0)
    made = await house.acme.new_key(pb.ROLE_SERVER)
    ask = EXAMPLES[1]
    assert await house.status(ask, bearer(made.secret)) == 200
    await house.acme.revoke(made.key.key_id)
    assert await house.status(ask, bearer(made.secret)) == 401


async def test_services_learn_who_calls(house: House) -> None:
    body = {"roomId": "r", "streamId": "s", "greeting": ""}
    path = f"{API}/create-task"
    user = await house.acme.key(pb.ROLE_USER, user_id="ada")
    answer = await house.gateway.client.post(path, json=body, headers=user)
    assert answer.json()["userId"] == "ada"
    caller = house.gateway.tasks.callers[-1]
    told = (caller.tenant_id, caller.user_id, caller.actor)
    assert told == (house.acme.tenant_id, "ada", "key test")
    theirs = await house.gateway.client.post(
        path, json={**body, "streamId": "s2", "userId": "bob"}, headers=user
    )
    assert (theirs.status_code, theirs.json()["violations"][0]["field"]) == (403, "userId")


async def test_a_users_ticket_makes_one_task_and_opens_it(house: House) -> None:
    headers = bearer(await house.acme.ticket(user_id="ada"))
    path = f"{API}/create-task"
    body = {"roomId": "r", "streamId": "s", "greeting": ""}
    client = house.gateway.client
    created = await client.post(path, json=body, headers=headers)
    task_id = created.json()["taskId"]
    assert (created.status_code, created.json()["userId"]) == (200, "ada")
    # Whatever key it sends, the client gets the task that it has.
    again = await client.post(path, json=body, headers=headers | {"idempotency-key": "other"})
    assert again.json()["taskId"] == task_id
    another = await client.post(path, json={**body, "streamId": "s2"}, headers=headers)
    assert (another.status_code, another.json()["reason"]) == (409, "REQUEST_ID_REUSED")
    assert (await client.get(f"{API}/tasks/{task_id}", headers=headers)).status_code == 200
    assert (await client.get(f"{API}/tasks/{house.task_id}", headers=headers)).status_code == 404
    token = await client.get(
        "/api/token", params={"userId": "u", "roomId": "r", "streamId": "s"}, headers=headers
    )
    assert token.status_code == 200
    assert house.gateway.avatars.tokens[-1].room_id == f"t__{house.acme.tenant_id}__r"


async def test_a_tasks_ticket_makes_no_other(house: House) -> None:
    headers = bearer(await house.acme.ticket(task_id=house.task_id))
    body = {"roomId": "r", "streamId": "s", "greeting": ""}
    before = len(house.gateway.tasks.tasks)
    answer = await house.gateway.client.post(f"{API}/create-task", json=body, headers=headers)
    assert (answer.status_code, answer.json()["reason"]) == (404, "TASK_NOT_FOUND")
    assert len(house.gateway.tasks.tasks) == before


async def test_a_ticket_knows_no_earlier_call(house: House) -> None:
    headers = bearer(await house.acme.ticket(user_id="ada"))
    body = {"roomId": "r", "streamId": "s", "historyTaskId": house.task_id}
    answer = await house.gateway.client.post(f"{API}/create-task", json=body, headers=headers)
    assert (answer.status_code, answer.json()["reason"]) == (404, "TASK_NOT_FOUND")


async def test_a_server_makes_tickets(house: House) -> None:
    server = await house.acme.key(pb.ROLE_SERVER)
    client = house.gateway.client

    async def make(**body: Any) -> Any:
        return await client.post(f"{API}/tickets", json=body, headers=server)

    made = (await make(taskId=house.task_id, expiresInSeconds=60)).json()
    assert (made["taskId"], made["userId"], made["singleUse"]) == (house.task_id, "ada", False)
    shown = await client.get(f"{API}/tasks/{house.task_id}", headers=bearer(made["ticket"]))
    assert shown.status_code == 200
    for body, name in (
        ({}, "taskId"),
        ({"userId": "ada", "expiresInSeconds": 5}, "expiresInSeconds"),
        ({"userId": "a" * 65}, "userId"),
    ):
        refused = await make(**body)
        assert (refused.status_code, refused.json()["violations"][0]["field"]) == (400, name)


async def test_an_operator_keeps_the_keys_of_the_tenant(house: House) -> None:
    operator = await house.acme.key(pb.ROLE_OPERATOR)
    rival = await house.rival.key(pb.ROLE_OPERATOR)
    client = house.gateway.client
    path = f"{API}/keys"
    body = {"name": "shop", "role": "USER", "userId": "ada", "expiresInDays": 1}
    made = (await client.post(path, json=body, headers=operator)).json()
    listed = (await client.get(path, headers=operator)).json()["keys"]
    assert {name: value for name, value in made.items() if name not in ("key", "success")} in listed
    assert made["key"] not in str(listed)
    shown = await client.get(f"{API}/tasks/{house.task_id}", headers=bearer(made["key"]))
    assert shown.status_code == 200
    theirs = (await client.get(path, headers=rival)).json()["keys"]
    assert made["keyId"] not in {key["keyId"] for key in theirs}
    foreign = await client.delete(f"{path}/{made['keyId']}", headers=rival)
    assert (foreign.status_code, foreign.json()["reason"]) == (404, "API_KEY_NOT_FOUND")
    revoked = await client.delete(f"{path}/{made['keyId']}", headers=operator)
    assert revoked.json()["revokeTime"]
    for wrong, name in (
        ({"name": ""}, "name"),
        ({"name": "x", "role": "USER"}, "userId"),
        ({"name": "x", "userId": "ada"}, "userId"),
        ({"name": "x", "role": "ROOT"}, "role"),
        ({"name": "x", "expiresInDays": 0}, "expiresInDays"),
    ):
        refused = await client.post(path, json=wrong, headers=operator)
        assert (refused.status_code, refused.json()["violations"][0]["field"]) == (400, name)


async def test_the_deployments_operator_may_act_for_a_tenant(house: House) -> None:
    default = Issuer(access=house.acme.access, tenant_id="default")
    path = f"{API}/tasks/{house.task_id}"

    async def ask(headers: dict[str, str], tenant_id: str) -> int:
        named = headers | {"parley-tenant": tenant_id}
        return (await house.gateway.client.get(path, headers=named)).status_code

    operator = await default.key(pb.ROLE_OPERATOR)
    acme, rival = house.acme.tenant_id, house.rival.tenant_id
    tenants = (acme, rival, "default", "No")
    assert [await ask(operator, each) for each in tenants] == [200, 404, 404, 400]
    # Who is of a tenant stays of it, and so does whoever else is of the default one.
    for headers in (
        await default.key(pb.ROLE_SERVER),
        await house.rival.key(pb.ROLE_OPERATOR),
        bearer(await house.rival.ticket(user_id="ada")),
    ):
        assert await ask(headers, acme) == 403
    assert await ask(await house.acme.key(pb.ROLE_USER, user_id="bob"), acme) == 404


async def test_users_watch_their_own_rooms_and_publish_nothing(house: House) -> None:
    ada = await house.acme.key(pb.ROLE_USER, user_id="ada")
    client, tenant_id = house.gateway.client, house.acme.tenant_id

    async def ask(**params: str) -> tuple[int, str]:
        answer = await client.get("/api/token", params={"userId": "u", **params}, headers=ada)
        return answer.status_code, answer.json().get("reason", "")

    assert await ask(roomId="room_1") == (200, "")
    assert house.gateway.avatars.tokens[-1].stream_id == f"t__{tenant_id}__stream_1"
    assert await ask(roomId="room_1", streamId="other") == (404, "TASK_NOT_FOUND")
    assert await ask() == (400, "INVALID_REQUEST")
    named = {
        "roomId": f"t__{tenant_id}__hall",
        "streamId": f"t__{tenant_id}__stage",
        "greeting": "",
    }
    await client.post(f"{API}/create-task", json=named, headers=ada)
    assert await ask(roomId="hall", streamId="stage") == (200, "")
    assert house.gateway.avatars.tokens[-1].room_id == f"t__{tenant_id}__hall"
    assert await ask(roomId="room_1", publish="mine") == (403, "PERMISSION_DENIED")


async def test_requests_are_counted_by_principal() -> None:
    async with (
        running_gateway(is_closed=True, requests_per_second=1) as gateway,
        channel_to(gateway) as channel,
    ):
        acme = issuer(channel, "acme")
        one, other = [await acme.key(pb.ROLE_SERVER) for _ in range(2)]
        path = f"{API}/tasks"
        while (await gateway.client.get(path, headers=one)).status_code != 429:
            pass
        assert (await gateway.client.get(path, headers=other)).status_code == 200


async def test_keys_are_rotated_under_load_without_a_failed_call(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.backend.directory.REMEMBERED_S", 0.0)
    made = [await house.acme.new_key(pb.ROLE_SERVER)]
    statuses: list[int] = []
    used: dict[int, str] = {}
    rotated, moved = asyncio.Event(), asyncio.Condition()

    async def client(number: int) -> None:
        while not rotated.is_set():
            key = made[-1]
            statuses.append(await house.status(EXAMPLES[1], bearer(key.secret)))
            async with moved:
                used[number] = key.key.key_id
                moved.notify_all()

    def all_use_the_newest() -> bool:
        return list(used.values()) == [made[-1].key.key_id] * 4

    async with asyncio.TaskGroup() as group:
        for number in range(4):
            group.create_task(client(number))
        for _ in range(5):
            old = made[-1].key.key_id
            made.append(await house.acme.new_key(pb.ROLE_SERVER))
            async with moved, asyncio.timeout(60):
                await moved.wait_for(all_use_the_newest)
            await house.acme.revoke(old)
        rotated.set()
    assert set(statuses) == {200}
    assert await house.status(EXAMPLES[1], bearer(made[0].secret)) == 401
