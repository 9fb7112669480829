"""The web client as a user meets it: opening it, calling, asking."""

import re
from collections.abc import Awaitable
from typing import Any

import httpx
from playwright.async_api import Page, expect

from tests.support.browser import listen
from tests.support.gateway_rig import read_events
from tests.support.stack import Stack

API = "/api/digital-human"
REPLY_TIMEOUT_MS = 150_000
SPOKEN_WORDS = 3
PERSONA = "Pia"
GREETING = "Hello, this is Pia."
RESTING = re.compile("On air|Listening|Muted")
HOLD_TO_TALK = "localStorage.setItem('parley.manner', 'hold')"


async def open_page(page: Page, stack: Stack, url: str | None = None) -> None:
    """Open the page, show it a key and choose the persona of few words."""
    await page.goto(url or stack.gateway_url)
    await page.get_by_label("API key").fill(stack.api_key)
    await page.get_by_role("button", name="Use it").click()
    await expect(page.get_by_role("button", name="Call", exact=True)).to_be_enabled()
    await page.get_by_role("radio", name=PERSONA).check()


async def start_call(page: Page, stack: Stack, url: str | None = None) -> str:
    """Start a call and wait until the greeting is over; gives its task."""
    await open_page(page, stack, url)
    task_id = await created_by(page, page.get_by_role("button", name="Call", exact=True).click())
    await expect(page.locator("#captions .reply")).to_have_text(GREETING, timeout=REPLY_TIMEOUT_MS)
    await until_resting(page)
    await expect(page.get_by_role("alert")).to_be_hidden()
    await listen(page)
    return task_id


async def created_by(page: Page, click: Awaitable[None]) -> str:
    """The task that a click puts on air."""
    async with page.expect_response("**/create-task") as created:
        await click
    return str((await (await created.value).json())["taskId"])


async def until_resting(page: Page) -> None:
    """Return when nothing is said or thought."""
    await expect(page.get_by_role("status")).to_contain_text(RESTING, timeout=REPLY_TIMEOUT_MS)


async def until_speaking(page: Page) -> None:
    """Return when a reply is spoken."""
    await expect(page.get_by_role("status")).to_contain_text("Speaking", timeout=REPLY_TIMEOUT_MS)


async def until_words_are_spoken(page: Page) -> None:
    """Return when some words of the running reply have been spoken; ended replies show none so."""
    spoken = page.locator("#captions .reply .word")
    await expect(spoken.nth(SPOKEN_WORDS - 1)).to_be_visible(timeout=REPLY_TIMEOUT_MS)


async def ask(page: Page, text: str) -> None:
    """Ask in writing."""
    await page.get_by_label("Write to").fill(text)
    await page.keyboard.press("Enter")


async def turns_of(stack: Stack, task_id: str) -> list[dict[str, Any]]:
    """The turns as the record has them."""
    async with _client(stack) as client:
        answer = await client.get(f"{API}/tasks/{task_id}/conversation")
    return list(answer.raise_for_status().json()["turns"])


async def last_turn(stack: Stack, task_id: str) -> dict[str, Any]:
    """The last turn as the record has it."""
    return (await turns_of(stack, task_id))[-1]


async def create_elsewhere(stack: Stack, stream_id: str) -> str:
    """Put a digital human on air as another client; gives its task."""
    asked = {"roomId": stream_id, "streamId": stream_id, "lang": "en", "greeting": ""}
    async with _client(stack) as client:
        answer = await client.post(f"{API}/create-task", json=asked)
    return str(answer.raise_for_status().json()["taskId"])


async def stop_elsewhere(stack: Stack, task_id: str) -> None:
    """Stop a task as another client."""
    async with _client(stack) as client:
        answer = await client.post(f"{API}/stop-task", json={"taskId": task_id})
    answer.raise_for_status()


async def say_elsewhere(stack: Stack, task_id: str, text: str) -> None:
    """Have a task's digital human say something, as another client; returns when it is said."""
    async with _client(stack) as client:
        answer = await client.post(f"{API}/say", json={"taskId": task_id, "text": text})
    answer.raise_for_status()


async def greet_elsewhere(stack: Stack, task_id: str) -> None:
    """Ask for a task's greeting as another client."""
    async with _client(stack) as client:
        (await client.post(f"{API}/greet", json={"taskId": task_id})).raise_for_status()


async def until_over(stack: Stack, task_id: str) -> str:
    """Return why a task ended, when it has."""
    path = f"{API}/tasks/{task_id}/events"
    async with _client(stack) as client, client.stream("GET", path) as response:
        states = [
            event.data["task"] async for event in read_events(response) if "task" in event.data
        ]
    assert states[-1]["state"] == "STOPPED"
    return str(states[-1]["stopReason"])


def _client(stack: Stack) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {stack.api_key}"}
    return httpx.AsyncClient(
        base_url=stack.gateway_url, headers=headers, timeout=60, trust_env=False
    )
