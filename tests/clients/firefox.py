"""Firefox by WebDriver BiDi, which it speaks itself: no other driver is needed."""

import asyncio
import itertools
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

# A microphone that hears a tone and that every page may use; nothing from the network.
PREFERENCES = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.autoplay.default": 0,
    "media.peerconnection.ice.loopback": True,
    "app.normandy.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "browser.safebrowsing.provider.mozilla.updateURL": "",
    "services.settings.server": "data:,",
}
START_TIMEOUT_S = 60
LISTENING = re.compile(r"WebDriver BiDi listening on (ws://\S+)")
MESSAGE_BYTES = 32 * 1024 * 1024


class Firefox:
    """A running Firefox with one page."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self._page = ""

    async def open(self, url: str) -> None:
        """Load an address in the page."""
        tree = await self._command("browsingContext.getTree", {})
        self._page = tree["contexts"][0]["context"]
        await self._command(
            "browsingContext.navigate", {"context": self._page, "url": url, "wait": "complete"}
        )

    async def evaluate(self, expression: str) -> Any:
        """Return what an expression has in the page, awaited; text, numbers and booleans only."""
        answer = await self._command(
            "script.evaluate",
            {
                "expression": expression,
                "target": {"context": self._page},
                "awaitPromise": True,
                "userActivation": True,
            },
        )
        assert answer["type"] == "success", answer
        return answer["result"].get("value")

    async def until(self, condition: str) -> Any:
        """Return what an expression has in the page once that is true."""
        return await self.evaluate(
            "new Promise((resolve) => { const look = () => { const found = ("
            + condition
            + "); if (found) resolve(found); else setTimeout(look, 50); }; look(); })"
        )

    async def start_session(self) -> None:
        """Begin; to be called once."""
        await self._command("session.new", {"capabilities": {}})

    async def _command(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        number = next(self._ids)
        await self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        async for message in self._socket:
            answer = json.loads(message)
            if answer.get("id") == number:
                assert answer["type"] == "success", answer
                return dict(answer["result"])
        raise AssertionError("Firefox has gone")


@asynccontextmanager
async def running_firefox() -> AsyncIterator[Firefox]:
    """Run one, with a profile of its own, until the block is left."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        lines = (f"user_pref({json.dumps(n)}, {json.dumps(v)});" for n, v in PREFERENCES.items())
        await asyncio.to_thread(
            (Path(profile) / "user.js").write_text, "\n".join(lines), encoding="utf-8"
        )
        process = await asyncio.create_subprocess_exec(
            "firefox",
            *("--headless", "--no-remote", "--profile", profile, "--remote-debugging-port=0"),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stderr
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                address = await _address(process.stderr)
            complaints = asyncio.create_task(process.stderr.read())
            async with connect(f"{address}/session", max_size=MESSAGE_BYTES) as socket:
                firefox = Firefox(socket)
                await firefox.start_session()
                yield firefox
        finally:
            process.kill()
            await process.wait()
        await complaints


async def _address(told: asyncio.StreamReader) -> str:
    """Where it listens, which is among what it tells when it starts."""
    async for line in told:
        if found := LISTENING.search(line.decode()):
            return found[1]
    raise AssertionError("Firefox has not started")
