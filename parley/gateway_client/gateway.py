"""The part of the gateway's HTTP API that the command line uses."""

import os
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake

from parley.gateway_client.answers import (
    Event,
    Json,
    UnreachableError,
    error_of,
    events_of,
    problem_error,
)
from parley.terminal.escaping import visible, visible_json
from services.runtime.network.proxies import proxy_for

DEFAULT_TENANT = "default"
"""Whose tasks have no `tenantId`."""

_API = "/api/digital-human"
_WEBHOOKS = f"{_API}/webhooks"
_CSV_LINE = "\r\n"
_UNGREETED: Json = {"greeting": ""}
_LINE_HEADERS = ("Authorization", "Parley-Tenant")
# The gateway answers once all is removed, and the more was said, the longer that takes.
_ERASE_TIMEOUT_S = 3600.0
# A turn lasts as long as the reply is spoken; the gateway sends something every 15 s.
_EVENT_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What to ask: a recording, a text, or by default the persona's sample question."""

    wav: Path | None = None
    text: str | None = None
    language_code: str | None = None


class Gateway:
    """A gateway, called through an httpx client that knows its address and key."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def create_task(
        self,
        *,
        persona_id: str | None = None,
        language_code: str | None = None,
        more: Json = _UNGREETED,
    ) -> Json:
        """Put a digital human on air in a room of its own; return the task.

        `more` are further members of create-task; by default, nothing is said first.
        """
        name = f"cli-{secrets.token_hex(8)}"
        body = {
            "roomId": name,
            "streamId": name,
            "personaId": persona_id,
            "lang": language_code,
        }
        return await self._call("POST", f"{_API}/create-task", json=_present(body) | more)

    async def stop_task(self, task_id: str, *, tenant_id: str | None = None) -> Json:
        """Stop a task, of a tenant if one is named; succeeds again if repeated."""
        return await self._call(
            "POST", f"{_API}/stop-task", json={"taskId": task_id}, headers=headers_of(tenant_id)
        )

    async def viewer_token(self, task: Json, *, user_id: str) -> Json:
        """Return a viewer's token for a task, and how and where to watch."""
        viewer = {"userId": user_id, "roomId": task["roomId"], "streamId": task["streamId"]}
        return await self._call("GET", "/api/token", params=viewer)

    async def personas(self) -> list[Json]:
        """Return who can be talked with."""
        found: list[Json] = (await self._call("GET", "/api/config"))["personas"]
        return found

    @asynccontextmanager
    async def open_line(self, params: Mapping[str, str]) -> AsyncIterator[ClientConnection]:
        """Open a line to a task, as `GET /api/digital-human/talk` describes it.

        Raises UnreachableError if there is no gateway.
        """
        address = str(self._client.base_url).rstrip("/").replace("http", "ws", 1)
        url = f"{address}{_API}/talk?{urlencode(params)}"
        shown = ((name, self._client.headers.get(name)) for name in _LINE_HEADERS)
        try:
            connection = await connect(
                url,
                additional_headers=[(name, value) for name, value in shown if value],
                proxy=proxy_for(url, os.environ),
            )
        except (OSError, InvalidHandshake) as error:
            raise self._unreachable(error) from error
        async with connection:
            yield connection

    async def list_tasks(
        self, states: Sequence[str] = (), *, is_of_every_tenant: bool = False
    ) -> list[Json]:
        """Return the tasks in these states, or all, newest first."""
        params: dict[str, Any] = {"state": list(states)} if states else {}
        if is_of_every_tenant:
            params["everyTenant"] = "true"
        return [each async for each in self._listed(f"{_API}/tasks", "tasks", params)]

    async def usage(self, params: Mapping[str, str]) -> list[Json]:
        """Return all rows of a report on usage."""
        rows: list[Json] = []
        token = ""
        while True:
            wanted = {**params, "pageSize": "1000", "pageToken": token}
            page = await self._call("GET", f"{_API}/usage", params=wanted)
            rows += page["rows"]
            token = page.get("nextPageToken", "")
            if not token:
                return rows

    async def usage_csv(self, params: Mapping[str, str]) -> str:
        """Return a report on usage as CSV."""
        wanted = {**params, "format": "csv"}
        report = (await self._answer("GET", f"{_API}/usage", params=wanted)).text
        return _CSV_LINE.join(map(visible, report.split(_CSV_LINE)))

    async def reconcile(self, *, is_dry: bool) -> list[Json]:
        """Return what differs between tasks and the cloud; have it settled unless dry."""
        found = await self._call("POST", f"{_API}/reconcile", json={"dryRun": is_dry})
        findings: list[Json] = found["findings"]
        return findings

    async def export_user(self, user_id: str) -> AsyncIterator[str]:
        """Yield all that is kept of a user, a line of JSON at a time; the last says `end`."""
        try:
            async with self._client.stream(
                "POST", f"{_API}/export-user", json={"userId": user_id}
            ) as answer:
                if not answer.is_success:
                    await answer.aread()
                    raise error_of(answer)
                async for line in answer.aiter_lines():
                    yield line
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    async def erase_user(self, user_id: str) -> Json:
        """Remove all that is kept of a user; return how many tasks there were."""
        return await self._call(
            "POST", f"{_API}/erase-user", json={"userId": user_id}, timeout=_ERASE_TIMEOUT_S
        )

    async def add_webhook(self, body: Json) -> Json:
        """Add a webhook; return it with its secret."""
        return await self._call("POST", _WEBHOOKS, json=body)

    async def list_webhooks(self) -> list[Json]:
        """Return all webhooks."""
        found: list[Json] = (await self._call("GET", _WEBHOOKS))["webhooks"]
        return found

    async def remove_webhook(self, webhook_id: str) -> None:
        """Remove a webhook."""
        await self._call("DELETE", _webhook(webhook_id))

    async def rotate_webhook_key(self, webhook_id: str, *, overlap_s: int) -> Json:
        """Give a webhook another secret; return it with that."""
        path = _webhook(webhook_id, "rotate-key")
        return await self._call("POST", path, json={"overlap": overlap_s})

    async def try_webhook(self, webhook_id: str) -> Json:
        """Send a webhook an event to try it out; return what became of it."""
        return await self._call("POST", _webhook(webhook_id, "test"))

    async def dead_letters(self, webhook_id: str) -> list[Json]:
        """Return all events that could not be delivered to a webhook."""
        path = _webhook(webhook_id, "dead-letters")
        return [each async for each in self._listed(path, "deadLetters", {})]

    async def replay_dead_letters(self, webhook_id: str, event_ids: Sequence[str]) -> int:
        """Have dead letters delivered anew, all if none are named; return how many they are."""
        path = _webhook(webhook_id, "dead-letters/replay")
        replayed: int = (await self._call("POST", path, json={"eventIds": event_ids}))["replayed"]
        return replayed

    async def audit(self, params: Mapping[str, str], *, limit: int) -> list[Json]:
        """Return entries of the audit log, the newest first."""
        found: list[Json] = []
        async for each in self._listed(f"{_API}/audit", "entries", params):
            found.append(each)
            if len(found) == limit:
                break
        return found

    async def talk(self, task_id: str, question: Question) -> AsyncIterator[Event]:
        """Ask a question and yield the events of the turn as they happen."""
        fields = _present({"taskId": task_id, "lang": question.language_code})
        request: Json
        if question.wav is not None:
            audio = (question.wav.name, question.wav.read_bytes(), "audio/wav")
            request = {"data": fields, "files": {"audio": audio}}
        else:
            request = {"json": fields | _present({"text": question.text})}
        try:
            async with self._client.stream(
                "POST",
                f"{_API}/talk-to-ai",
                headers={"Accept": "text/event-stream"},
                timeout=_EVENT_TIMEOUT_S,
                **request,
            ) as answer:
                if not answer.is_success:
                    await answer.aread()
                    raise error_of(answer)
                async for event in events_of(answer.aiter_lines()):
                    if event.name == "problem":
                        raise problem_error(event.data)
                    yield event
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    async def _listed(
        self, path: str, member: str, params: Mapping[str, Any]
    ) -> AsyncIterator[Json]:
        """Yield what a member holds, page by page."""
        wanted = dict(params)
        while True:
            page = await self._call("GET", path, params=wanted)
            for each in page[member]:
                yield each
            if not (token := page.get("nextPageToken")):
                return
            wanted["pageToken"] = token

    async def _call(self, method: str, path: str, **request: Any) -> Json:
        body: Json = visible_json((await self._answer(method, path, **request)).json())
        return body

    async def _answer(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            answer = await self._client.request(method, path, **request)
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        if not answer.is_success:
            raise error_of(answer)
        return answer

    def _unreachable(self, error: Exception) -> UnreachableError:
        return UnreachableError(
            f"No answer from {self._client.base_url} ({type(error).__name__}). "
            "Is Parley running? Start it with `make up`, or give its address with --url.",
            is_outage=True,
        )


def headers_of(tenant_id: str | None) -> dict[str, str]:
    """Return the headers of a call for a tenant; by default there are none."""
    # The gateway knows which ids there can be, and is sent any text.
    return {} if tenant_id is None else {"Parley-Tenant": quote(tenant_id)}


def _webhook(webhook_id: str, *below: str) -> str:
    """Return the path of a webhook, or of what is below it."""
    return "/".join((_WEBHOOKS, quote(webhook_id, safe=""), *below))


def _present(fields: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in fields.items() if value is not None}
