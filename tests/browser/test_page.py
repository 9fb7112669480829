"""The page itself: its accessibility, its inputs, and what it loads."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

import pytest
import pytest_asyncio
from playwright.async_api import Locator, Page, expect

from digitalhuman.avatar.v1 import avatar_pb2
from digitalhuman.speech.v1 import speech_pb2
from tests.support.accessibility import LEAST_CONTRAST, check_names, contrasts_of
from tests.support.browser import Browser
from tests.support.gateway_rig import RunningGateway, running_gateway
from tests.support.gateway_script import REPLY

PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
}
QUESTION = Path(__file__).parents[1] / "data" / "speech" / "en_kokoro_am_michael_10.wav"
SECOND = 32_000
LOBBY_TEXTS = ("#lobby-title", "#lobby-description", "#personas legend", "#call-text", ".hint")
CALL_TEXTS = ("#captions .reply", "#captions .user", "#talk-text", "#hangup span", "#status-text")
pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def gateway() -> AsyncIterator[RunningGateway]:
    """A gateway over scripted services, whose call has no picture."""
    async with running_gateway() as running:
        yield running


def call_button(page: Page) -> Locator:
    return page.get_by_role("button", name="Call", exact=True)


async def call(page: Page, gateway: RunningGateway) -> None:
    await page.goto(gateway.url)
    await call_button(page).click()
    await expect(page.get_by_label("Write to")).to_be_visible()


async def test_a_call_works_by_keyboard_alone(browser: Browser, gateway: RunningGateway) -> None:
    async with browser.page() as page:
        await page.goto(gateway.url)
        await expect(call_button(page)).to_be_enabled()
        seen = []
        while "Call" not in seen:
            await page.keyboard.press("Tab")
            focused = page.locator(":focus")
            seen.append(
                await focused.evaluate("(e) => e.ariaLabel || e.value || e.innerText.trim()")
            )
        # Tools first, as they are read, then the choices, each group one stop.
        assert seen == ["Transcript", "Light or dark", "中文", "guide", "en", "Call"]
        await page.keyboard.press("Enter")
        await expect(page.get_by_label("Write to Guide")).to_be_focused()
        await page.keyboard.type("Hello there?")
        await page.keyboard.press("Enter")
        await expect(page.locator("#captions .reply")).to_have_text(REPLY)
        assert gateway.speech.texts == ["Hello there?"]
        await page.get_by_role("button", name="End call").press("Enter")
        await expect(call_button(page)).to_be_focused()


async def test_escape_interrupts(browser: Browser, gateway: RunningGateway) -> None:
    gateway.script.hold_reply = asyncio.Event()
    async with browser.page() as page:
        await call(page, gateway)
        interrupt = page.get_by_role("button", name="Interrupt")
        await expect(interrupt).to_be_disabled()
        await page.get_by_label("Write to").fill("Hello?")
        await page.keyboard.press("Enter")
        await expect(interrupt).to_be_enabled()
        await page.keyboard.press("Escape")
        gateway.script.hold_reply.set()
        await expect(interrupt).to_be_disabled()
        await gateway.speech.until(lambda: gateway.speech.interrupts == 1)


async def test_a_muted_microphone_sends_silence(browser: Browser, gateway: RunningGateway) -> None:
    heard = gateway.speech.heard
    async with browser.page(QUESTION) as page:
        await call(page, gateway)
        await gateway.speech.until(lambda: len(heard) > SECOND and any(heard[-SECOND:]))
        await page.get_by_role("button", name="Mute").press(" ")
        await expect(page.get_by_role("button", name="Unmute")).to_be_visible()
        await gateway.speech.until(lambda: not any(heard[-SECOND:]))
        so_far = len(heard)
        await gateway.speech.until(lambda: len(heard) > so_far + SECOND)
        await page.get_by_role("button", name="Unmute").click()
        await gateway.speech.until(lambda: any(heard[-SECOND:]))


async def test_only_what_is_held_is_heard(browser: Browser, gateway: RunningGateway) -> None:
    async with browser.page(QUESTION) as page:
        await call(page, gateway)
        await page.get_by_role("switch", name="Hands-free").click()
        await gateway.speech.until(lambda: len(gateway.speech.setups) == 2)
        talk = page.get_by_role("button", name="Hold to talk")
        await talk.hover()
        for key in ("Escape", None):
            gateway.speech.heard.clear()
            await page.mouse.down()
            await gateway.speech.until(lambda: len(gateway.speech.heard) > SECOND)
            if key:
                await page.keyboard.press(key)
            await page.mouse.up()
        await expect(page.locator("#captions .user")).to_have_text("what was heard")
        assert gateway.speech.utterances == [bytes(gateway.speech.heard)]
        assert any(gateway.speech.utterances[0])
    first, *others = gateway.speech.setups
    assert first.turn_detection == speech_pb2.TURN_DETECTION_SERVER
    assert {each.turn_detection for each in others} == {speech_pb2.TURN_DETECTION_MANUAL}


async def test_everything_has_a_name(browser: Browser, gateway: RunningGateway) -> None:
    async with browser.page() as page:
        await page.goto(gateway.url)
        await expect(call_button(page)).to_be_enabled()
        await check_names(page, {"button", "radio", "heading", "status"})
        await call_button(page).click()
        await expect(page.get_by_label("Write to")).to_be_visible()
        await page.get_by_role("button", name="Transcript", exact=True).click()
        await check_names(page, {"button", "switch", "textbox", "complementary", "log", "status"})


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_texts_stand_out(
    browser: Browser, gateway: RunningGateway, theme: Literal["light", "dark"]
) -> None:
    # Narrow screens leave some of the words out, and each pixel counts.
    screen: dict[str, Any] = {"viewport": {"width": 1280, "height": 720}, "device_scale_factor": 1}
    async with browser.page(color_scheme=theme, **screen) as page:
        await page.goto(gateway.url)
        await expect(call_button(page)).to_be_enabled()
        ratios = await contrasts_of(page, *LOBBY_TEXTS)
        await call_button(page).click()
        await page.get_by_label("Write to").fill("Hello?")
        await page.keyboard.press("Enter")
        await expect(page.locator("#captions .reply")).to_have_text(REPLY)
        for state in ("Mute", "Unmute", "Mute"):
            await page.get_by_role("button", name=state, exact=True).click()
            found = await contrasts_of(page, *CALL_TEXTS)
            ratios |= {f"{state} {selector}": ratio for selector, ratio in found.items()}
        await page.get_by_role("switch", name="Hands-free").click()
        await expect(page.locator("#talk-text")).to_have_text("Hold to talk")
        ratios |= await contrasts_of(page, "#talk-text")
        assert {name: ratio for name, ratio in ratios.items() if ratio < LEAST_CONTRAST} == {}


async def test_the_user_can_choose_light_or_dark(browser: Browser, gateway: RunningGateway) -> None:
    async with browser.page(color_scheme="light") as page:
        await page.goto(gateway.url)
        background = "getComputedStyle(document.body).backgroundColor"
        light = await page.evaluate(background)
        await page.get_by_role("button", name="Light or dark").click()
        dark = await page.evaluate(background)
        assert dark != light
        await page.reload()
        assert await page.evaluate(background) == dark


async def test_it_speaks_the_users_language(browser: Browser, gateway: RunningGateway) -> None:
    async with browser.page(locale="zh-CN") as page:
        await page.goto(gateway.url)
        await expect(page.get_by_role("heading", name="和向导聊聊")).to_be_visible()
        await expect(page.get_by_role("radio", name="中文")).to_be_checked()
        await page.get_by_role("button", name="English").click()
        await expect(page.get_by_role("heading", name="Talk with Guide")).to_be_visible()
        assert await page.evaluate("document.documentElement.lang") == "en"


async def test_a_character_brings_its_face_which_may_be_changed(
    browser: Browser, gateway: RunningGateway
) -> None:
    yuna = avatar_pb2.DigitalHuman(digital_human_id="parley_yuna", display_name="Yuna")
    gateway.avatars.people.append(yuna)
    async with browser.page() as page:
        await page.goto(gateway.url)
        await page.get_by_role("radio", name="mute").check()
        await expect(page.get_by_role("radio", name="Yuna")).to_be_checked()
        await page.get_by_role("radio", name="Mia").check()
        await call_button(page).click()
        await gateway.tasks.until(lambda tasks: tasks.creates)
        assert gateway.tasks.creates[0].digital_human_id == "parley_mia"


async def test_choices_are_sent_and_remembered(browser: Browser, gateway: RunningGateway) -> None:
    async with browser.page() as page:
        await page.goto(gateway.url)
        await page.get_by_role("radio", name="中文").check()
        await page.reload()
        await expect(page.get_by_role("radio", name="中文")).to_be_checked()
        await call_button(page).click()
        await expect(page.get_by_label("Write to")).to_be_visible()
        (created,) = gateway.tasks.creates
        assert (created.persona_id, created.language_code) == ("guide", "zh")
        await page.get_by_role("switch", name="Hands-free").click()
        await page.get_by_role("button", name="End call").click()
        await page.reload()
        await expect(page.get_by_text("hears only while you hold")).to_be_visible()
        await call_button(page).click()
        await expect(page.get_by_role("switch", name="Hands-free")).not_to_be_checked()


async def test_a_phone_needs_no_sideways_scrolling(
    browser: Browser, gateway: RunningGateway
) -> None:
    async with browser.page(**PHONE) as page:
        await page.goto(gateway.url)
        await expect(call_button(page)).to_be_in_viewport(ratio=1)
        await call_button(page).tap()
        for name in ("Mute", "Interrupt", "End call"):
            await expect(page.get_by_role("button", name=name)).to_be_in_viewport(ratio=1)
        await page.get_by_role("switch", name="Hands-free").tap()
        for name in ("Hold to talk", "Send"):
            await expect(page.get_by_role("button", name=name)).to_be_in_viewport(ratio=1)
        assert await page.evaluate("document.documentElement.scrollWidth") == 390


async def test_it_asks_nobody_else_and_lets_nobody_in(
    browser: Browser, gateway: RunningGateway
) -> None:
    async with browser.page() as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        answer = await page.goto(gateway.url)
        assert answer is not None
        policy = answer.headers["content-security-policy"]
        await call_button(page).click()
        await expect(page.get_by_label("Write to")).to_be_visible()
        async with page.expect_request("http://127.0.0.1:9/whep/s"):
            pass
        foreign = {url for url in asked if not url.startswith(gateway.url)}
        assert foreign == {"http://127.0.0.1:9/whep/s"}
        assert not any("zego" in url.lower() for url in asked)
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["font-src"] == "'self'"
    assert rules["frame-ancestors"] == "'none'"


async def test_the_vendors_player_is_loaded_for_the_vendors_cloud_alone(
    browser: Browser,
    gateway: RunningGateway,
) -> None:
    gateway.avatars.playback.protocol = avatar_pb2.PLAYBACK_PROTOCOL_ZEGO_EXPRESS
    gateway.avatars.playback.url = "ws://127.0.0.1:9/ws"
    async with browser.page() as page:
        # The vendor's own hosts are not to be reached from a test.
        await page.route(lambda url: not url.startswith(gateway.url), lambda route: route.abort())
        await page.goto(gateway.url)
        async with page.expect_response("**/clients/v1/zego-express-engine.js") as loaded:
            await call_button(page).click()
        assert (await loaded.value).status == 200
        await page.get_by_label("Write to").fill("Hello?")
        await page.keyboard.press("Enter")
        await expect(page.locator("#captions .reply")).to_have_text(REPLY)


async def test_the_docs_page_lists_the_endpoints(browser: Browser, gateway: RunningGateway) -> None:
    async with browser.page() as page:
        await page.goto(f"{gateway.url}/docs")
        await expect(page.get_by_text("/api/digital-human/talk-to-ai")).to_be_visible()
        await expect(page.locator(".errors-wrapper")).to_have_count(0)
        await expect(page.locator(".opblock")).not_to_have_count(0)
