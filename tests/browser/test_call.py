"""A call in a real browser, on the real stack: heard, answered, cut off and ended."""

import asyncio
import json
import re
import wave
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.support.browser import Browser, until_heard, until_silent
from tests.support.page import (
    HOLD_TO_TALK,
    REPLY_TIMEOUT_MS,
    ask,
    create_elsewhere,
    created_by,
    last_turn,
    open_page,
    start_call,
    stop_elsewhere,
    turns_of,
    until_over,
    until_resting,
    until_speaking,
    until_words_are_spoken,
)
from tests.support.stack import Stack

SPEECH = Path(__file__).parents[1] / "data" / "speech"
QUESTION = SPEECH / "en_kokoro_am_michael_10.wav"
LONG_QUESTION = "Tell me a short story about a brave little robot."
# Until Chromium's echo canceller has heard 2.5 s of a voice, it takes words beside it for its echo.
ECHO_LEARNT_S = 3.0
UNTIL_METER_SHOWS = """
() => new Promise((resolve) => {
  const style = document.getElementById("talk").style;
  const check = () =>
    style.getPropertyValue("--level") > 0.2 ? resolve() : requestAnimationFrame(check);
  check();
})
"""
# As an app would without Parley's page: what MediaRecorder makes goes up as it comes.
RECORD_UNTIL_A_TURN = """
async ([taskId, apiKey]) => {
  const microphone = await navigator.mediaDevices.getUserMedia({ audio: true });
  const recorder = new MediaRecorder(microphone, { mimeType: "audio/webm;codecs=opus" });
  const address = new URL("/api/digital-human/talk", location.origin.replace("http", "ws"));
  address.search = new URLSearchParams({ taskId, apiKey, audio: "webm" });
  const line = new WebSocket(address);
  recorder.ondataavailable = ({ data }) => line.send(data);
  const told = await new Promise((resolve) => {
    line.onmessage = ({ data }) => {
      const told = JSON.parse(data);
      if (told.event === "ready") recorder.start(100);
      if (told.problem || told.event === "turn_started") resolve(told);
    };
    line.onclose = ({ code }) => resolve({ code });
  });
  recorder.ondataavailable = null;
  recorder.stop();
  line.close();
  return told;
}
"""
pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]


def spoken_words() -> set[str]:
    """The longer words of the recorded question."""
    (text,) = [
        entry["text"]
        for entry in json.loads((SPEECH / "manifest.json").read_text())
        if entry["file"] == QUESTION.name
    ]
    return {word for word in text.lower().strip("?").split() if len(word) > 3}


def spoken_ms() -> float:
    with wave.open(str(QUESTION)) as recording:
        return 1000 * recording.getnframes() / recording.getframerate()


async def test_a_written_question_is_answered_aloud_and_on_record(
    browser: Browser, stack: Stack
) -> None:
    async with browser.page() as page:
        task_id = await start_call(page, stack)
        await until_silent(page)
        await ask(page, "When do you open?")
        await expect(page.locator("#captions .user")).to_have_text("When do you open?")
        await until_heard(page)
        await until_resting(page)
        turn = await last_turn(stack, task_id)
        assert turn["heard"] == turn["reply"]
        await expect(page.locator("#captions .reply")).to_have_text(turn["reply"])
        await expect(page.get_by_role("log")).to_contain_text(turn["reply"])
        await until_silent(page)
        await check_transcript(page, turn["reply"])
        await page.get_by_role("button", name="End call").click()
        await expect(page.get_by_role("status")).to_have_text("Ready")
        assert await until_over(stack, task_id) == "REQUESTED"


async def check_transcript(page: Page, reply: str) -> None:
    """The transcript tells where the time went, and can be taken away."""
    transcript = page.get_by_role("button", name="Transcript", exact=True)
    await transcript.click()
    last = page.locator("#turns > li").last
    await last.get_by_text("First sound after").click()
    stages = last.get_by_role("listitem")
    for name in ("Answer begins", "Voice ready", "Speaking"):
        await expect(stages.filter(has_text=name)).to_contain_text("ms")
    async with page.expect_download() as download:
        await page.get_by_role("button", name="Download").click()
    text = await asyncio.to_thread((await (await download.value).path()).read_text)
    assert "User: When do you open?" in text
    assert reply in text
    await page.keyboard.press("Escape")
    await expect(transcript).to_be_focused()


async def test_a_reply_appears_as_it_is_spoken_until_it_is_cut_off(
    browser: Browser, stack: Stack
) -> None:
    """Cut off by a button, and by a new question."""
    async with browser.page() as page:
        task_id = await start_call(page, stack)
        await ask(page, LONG_QUESTION)
        await check_words_appear(page)
        # Sound alone may still be the end of the greeting.
        await until_words_are_spoken(page)
        await page.get_by_role("button", name="Interrupt").click()
        await until_silent(page)
        await until_resting(page)
        await expect(page.get_by_role("alert")).to_be_hidden()
        turn = await last_turn(stack, task_id)
        assert turn["interrupted"] is True
        assert 0 < len(turn["heard"]) < len(turn["reply"])
        unheard = turn["reply"].removeprefix(turn["heard"]).lstrip(" ,.:;!?").rstrip()
        await expect(page.locator("#captions .reply s")).to_have_text(unheard)
        await expect(page.locator("#turns > li").last.locator("s")).to_have_text(unheard)
        await expect(page.get_by_role("button", name="Interrupt")).to_be_disabled()

        await ask(page, LONG_QUESTION)
        await until_words_are_spoken(page)
        await ask(page, "When do you open?")
        await expect(page.locator("#captions .user")).to_have_text("When do you open?")
        await page.get_by_role("button", name="Transcript", exact=True).click()
        turns = page.locator("#turns > li")
        await expect(turns).to_have_count(4)
        await expect(turns.nth(2).locator("s")).not_to_be_empty()
        await expect(turns.nth(3).locator(".user")).to_have_text("When do you open?")
        await expect(page.get_by_role("alert")).to_be_hidden()


async def check_words_appear(page: Page) -> None:
    """Words of the running reply are to come first, and then are there."""
    words = page.locator("#captions .reply .word")
    coming = page.locator("#captions .reply .coming")
    await expect(words).not_to_have_count(0, timeout=REPLY_TIMEOUT_MS)
    await expect(coming).not_to_have_count(0)
    early = await words.count()
    await expect(coming.first).to_be_hidden()
    await expect(words.nth(early)).to_be_visible()


async def test_hands_free_the_user_simply_speaks(browser: Browser, stack: Stack) -> None:
    """The voice is heard, cuts the reply off, and is answered."""
    async with browser.page(QUESTION, lead_s=ECHO_LEARNT_S, pause_s=5) as page:
        # With a button to hold the microphone is deaf until it is wanted.
        await page.add_init_script(HOLD_TO_TALK)
        task_id = await start_call(page, stack)
        await ask(page, LONG_QUESTION)
        await until_words_are_spoken(page)
        await page.get_by_role("switch", name="Hands-free").click()
        await expect(page.get_by_role("button", name="Mute")).to_be_visible()
        await page.evaluate(UNTIL_METER_SHOWS)
        await expect(page.get_by_role("status")).to_contain_text("Hearing you")
        await expect(page.locator("#turns > li")).to_have_count(3, timeout=REPLY_TIMEOUT_MS)
        await check_question(page)
        await expect(page.locator("#turns > li").nth(1).locator("s")).not_to_be_empty()
        cut = (await turns_of(stack, task_id))[1]
        assert cut["interrupted"] is True
        assert 0 < len(cut["heard"]) < len(cut["reply"])
        await until_speaking(page)


async def test_what_a_media_recorder_makes_is_understood(browser: Browser, stack: Stack) -> None:
    task_id = await create_elsewhere(stack, "recorder")
    async with browser.page(QUESTION, pause_s=6) as page:
        await page.goto(stack.gateway_url)
        told = await page.evaluate(RECORD_UNTIL_A_TURN, [task_id, stack.api_key])
    await stop_elsewhere(stack, task_id)
    assert told.get("event") == "turn_started", told
    words = set(re.findall("[a-z]+", told["data"]["transcript"].lower()))
    assert len(words & spoken_words()) >= 2


async def test_a_held_space_bar_talks(browser: Browser, stack: Stack) -> None:
    async with browser.page(QUESTION) as page:
        await page.add_init_script(HOLD_TO_TALK)
        await start_call(page, stack)
        await page.keyboard.down(" ")
        await expect(page.get_by_role("button", name="Hold to talk")).to_have_attribute(
            "aria-pressed", "true"
        )
        await expect(page.get_by_role("status")).to_contain_text(re.compile("Listening|Hearing"))
        # The microphone hears in real time; the meter shows it.
        await page.evaluate(UNTIL_METER_SHOWS)
        await page.wait_for_timeout(spoken_ms())
        await page.keyboard.up(" ")
        await check_question(page)
        await until_heard(page)


async def check_question(page: Page) -> None:
    """The recorded question is shown, as far as the recogniser made it out."""
    caption = page.locator("#captions .user[data-final=true]")
    await expect(caption).to_contain_text(
        re.compile("|".join(spoken_words()), re.IGNORECASE), timeout=REPLY_TIMEOUT_MS
    )
    heard = set((await caption.inner_text()).lower().replace("?", "").replace(".", "").split())
    assert len(heard & spoken_words()) >= 2


async def test_leaving_the_page_stops_the_task(browser: Browser, stack: Stack) -> None:
    async with browser.page() as page:
        await open_page(page, stack)
        call = page.get_by_role("button", name="Call", exact=True)
        task_id = await created_by(page, call.click())
        await expect(page.get_by_role("button", name="Interrupt")).to_be_enabled(
            timeout=REPLY_TIMEOUT_MS
        )
        await page.goto("about:blank")
        assert await until_over(stack, task_id) == "CLIENT_GONE"


async def test_a_call_that_others_end_is_told(browser: Browser, stack: Stack) -> None:
    async with browser.page() as page:
        task_id = await start_call(page, stack)
        await stop_elsewhere(stack, task_id)
        await expect(page.get_by_role("alert")).to_contain_text("ended from elsewhere")
        await expect(page.get_by_role("button", name="Call", exact=True)).to_be_focused()
