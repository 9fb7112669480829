"""Tools that are HTTP endpoints."""

import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

import httpx

from services.runtime.network.proxies import proxy_for
from services.runtime.network.transport import transport_to
from services.speech.ports.chat import Tool
from services.speech.tools.request import filled_arguments, filled_headers, filled_url
from services.speech.tools.tool import LONGEST_RESULT, Invocation, Limits, ToolError

CONNECT_S = 5.0
LONGEST_BODY = 4 * LONGEST_RESULT
"""Bytes of an answer that are read."""
KEY_HEADER = "idempotency-key"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpFunction:
    """An endpoint that gets the arguments as its JSON body, with GET as its query.

    It is asked once: a call whose answer is lost has failed. Redirects are not followed. Variables
    in the path of its URL, in its headers and in its fixed arguments are filled for each call.
    """

    declaration: Tool
    limits: Limits
    method: str
    url: str
    headers: Mapping[str, str]
    secret_headers: Mapping[str, str]
    arguments: Mapping[str, Any]
    client: httpx.AsyncClient

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        declaration: Tool,
        limits: Limits,
        *,
        method: str,
        url: str,
        headers: Mapping[str, str],
        secret_headers: Mapping[str, str],
        arguments: Mapping[str, Any],
    ) -> AsyncIterator[Self]:
        """A function with its own client."""
        async with httpx.AsyncClient(
            # How long an answer may take is the caller's to limit.
            timeout=httpx.Timeout(None, connect=CONNECT_S, pool=CONNECT_S),
            transport=transport_to(url, proxy=proxy_for(url, os.environ)),
        ) as client:
            yield cls(
                declaration=declaration,
                limits=limits,
                method=method,
                url=url,
                headers=headers,
                secret_headers=secret_headers,
                arguments=arguments,
                client=client,
            )

    async def call(self, invocation: Invocation) -> str:
        """Return the body of the answer; raises ToolError."""
        variables = invocation.variables
        url = filled_url(self.url, variables)
        arguments = {**invocation.arguments, **filled_arguments(self.arguments, variables)}
        headers = httpx.Headers(filled_headers(self.headers, variables))
        headers.update(self.secret_headers)
        headers[KEY_HEADER] = invocation.key
        content: dict[str, Any] = (
            {"params": _query(arguments)} if self.method == "GET" else {"json": arguments}
        )
        try:
            async with self.client.stream(self.method, url, headers=headers, **content) as response:
                body = await _body(response)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ToolError(f"the tool cannot be reached: {type(error).__name__}") from None
        if not response.is_success:
            raise ToolError(f"the tool answers with status {response.status_code}: {body[:300]}")
        return body


def _query(arguments: Mapping[str, Any]) -> dict[str, str]:
    """Return arguments as a query; what is no text is written as JSON."""
    return {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in arguments.items()
    }


async def _body(response: httpx.Response) -> str:
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > LONGEST_BODY:
            break
    return body.decode(errors="replace")
