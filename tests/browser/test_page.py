"""The page in a real browser, on the real stack: a call is heard, answered, cut off and ended."""

import json
import wave
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Page, expect

from tests.support.browser import browsing, listen, until_heard, until_silent
from tests.support.gateway import read_events, running_gateway
from tests.support.stack import Stack

SPEECH = Path(__file__).parents[1] / "data" / "speech"
QUESTION = SPEECH / "en_kokoro_am_michael_10.wav"
REPLY_TIMEOUT_MS = 60_000
pytestmark = pytest.mark.timeout(180)


async def open_page(page: Page, stack: Stack) -> None:
    """Open the page and show it a key."""
    await page.goto(stack.gateway_url)
    await page.get_by_label("API key").fill(stack.api_key)
    await page.get_by_role("button", name="Use it").click()
    await expect(page.locator("#persona option")).not_to_have_count(0)


async def start_call(page: Page, stack: Stack) -> str:
    """Start a call; gives its task."""
    await open_page(page, stack)
    async with page.expect_response("**/create-task") as created:
        await page.get_by_role("button", name="Start call").click()
    task_id = (await (await created.value).json())["taskId"]
    await expect(page.locator("#state")).to_have_text("On air")
    await expect(page.locator("#problem")).to_be_hidden()
    await listen(page)
    return str(task_id)


async def ask(page: Page, text: str) -> None:
    await page.get_by_label("Question").fill(text)
    await page.get_by_role("button", name="Ask").click()


async def last_turn(stack: Stack, task_id: str) -> dict[str, Any]:
    """The last turn as the record has it."""
    headers = {"authorization": f"Bearer {stack.api_key}"}
    path = f"{stack.gateway_url}/api/digital-human/tasks/{task_id}/conversation"
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(path, headers=headers)
    return dict(answer.raise_for_status().json()["turns"][-1])


async def until_over(stack: Stack, task_id: str) -> str:
    """Return why a task ended, when it has."""
    headers = {"authorization": f"Bearer {stack.api_key}"}
    path = f"{stack.gateway_url}/api/digital-human/tasks/{task_id}/events"
    async with (
        httpx.AsyncClient(timeout=30, trust_env=False) as client,
        client.stream("GET", path, headers=headers) as response,
    ):
        states = [
            event.data["task"] async for event in read_events(response) if "task" in event.data
        ]
    assert states[-1]["state"] == "STOPPED"
    return str(states[-1]["stopReason"])


async def test_a_written_question_is_answered_aloud(stack: Stack) -> None:
    async with browsing() as page:
        task_id = await start_call(page, stack)
        await until_silent(page)
        await ask(page, "When do you open?")
        await expect(page.locator("#captions .user")).to_have_text("When do you open?")
        await until_heard(page)
        await expect(page.locator("#captions .reply")).not_to_be_empty()
        await expect(page.locator("#state")).to_have_text("On air", timeout=REPLY_TIMEOUT_MS)
        await until_silent(page)
        await page.get_by_role("button", name="End call").click()
        await expect(page.locator("#state")).to_have_text("Ready")
        assert await until_over(stack, task_id) == "REQUESTED"


async def test_a_spoken_question_is_heard(stack: Stack) -> None:
    (expected,) = [
        entry["text"]
        for entry in json.loads((SPEECH / "manifest.json").read_text())
        if entry["file"] == QUESTION.name
    ]
    with wave.open(str(QUESTION)) as recording:
        seconds = recording.getnframes() / recording.getframerate()
    async with browsing(QUESTION) as page:
        await start_call(page, stack)
        talk = page.get_by_role("button", name="Hold to talk")
        await talk.hover()
        await page.mouse.down()
        # The microphone hears in real time.
        await page.wait_for_timeout(seconds * 1000)
        await page.mouse.up()
        caption = page.locator("#captions .user")
        await expect(caption).not_to_be_empty(timeout=REPLY_TIMEOUT_MS)
        await until_heard(page)
        heard = set((await caption.inner_text()).lower().strip(".?!").split())
        assert heard & {word for word in expected.lower().split() if len(word) > 3}


async def test_interrupt_silences_the_reply(stack: Stack) -> None:
    async with browsing() as page:
        task_id = await start_call(page, stack)
        await ask(page, "Please tell me everything about the tickets and the opening hours.")
        await until_heard(page)
        await page.get_by_role("button", name="Interrupt").click()
        await until_silent(page)
        await expect(page.locator("#state")).to_have_text("On air")
        await expect(page.locator("#problem")).to_be_hidden()
        turn = await last_turn(stack, task_id)
        assert turn["interrupted"] is True
        assert len(turn["heard"]) < len(turn["reply"])
        await expect(page.locator("#captions .reply s")).to_have_text(
            turn["reply"].removeprefix(turn["heard"]), use_inner_text=False
        )


async def test_leaving_the_page_stops_the_task(stack: Stack) -> None:
    async with browsing() as page:
        task_id = await start_call(page, stack)
        await page.goto("about:blank")
        assert await until_over(stack, task_id) == "REQUESTED"


async def test_a_call_that_others_end_is_told(stack: Stack) -> None:
    async with browsing() as page:
        task_id = await start_call(page, stack)
        headers = {"authorization": f"Bearer {stack.api_key}"}
        async with httpx.AsyncClient(base_url=stack.gateway_url, trust_env=False) as client:
            stopped = await client.post(
                "/api/digital-human/stop-task", json={"taskId": task_id}, headers=headers
            )
            assert stopped.status_code == 200
        await expect(page.locator("#problem")).to_have_text("The call has ended (requested).")
        await expect(page.get_by_role("button", name="Start call")).to_be_visible()


async def test_a_wrong_key_is_asked_for_again(stack: Stack) -> None:
    async with browsing() as page:
        await page.goto(stack.gateway_url)
        await page.get_by_label("API key").fill("wrong")
        async with page.expect_response("**/api/config") as answer:
            await page.get_by_role("button", name="Use it").click()
        assert (await answer.value).status == 401
        await expect(page.get_by_label("API key")).to_be_visible()


async def test_the_docs_page_lists_the_endpoints(stack: Stack) -> None:
    async with browsing() as page:
        await page.goto(f"{stack.gateway_url}/docs")
        await expect(page.get_by_text("/api/digital-human/talk-to-ai")).to_be_visible()
        await expect(page.locator(".errors-wrapper")).to_have_count(0)
        await expect(page.locator(".opblock")).not_to_have_count(0)


async def test_the_vendors_player_is_honestly_missing() -> None:
    async with running_gateway() as gateway, browsing() as page:
        gateway.avatars.playback.protocol = 2  # ZEGO_EXPRESS
        await page.goto(gateway.url)
        await page.get_by_role("button", name="Start call").click()
        await expect(page.locator("#note")).to_contain_text("vendor's player")
        await ask(page, "Hello?")
        await expect(page.locator("#captions .reply")).to_have_text(
            "We open at nine. We close at six."
        )
