"""The built widget in a page of another site, under a strict policy, as its users meet it."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from digitalhuman.task.v1 import task_pb2
from gateway.routes.pages import BUILT
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from tests.support.accessibility import LEAST_CONTRAST, check_names, contrasts_of
from tests.support.browser import Browser
from tests.support.compose import ROOT
from tests.support.gateway_rig import RunningGateway, running_gateway
from tests.support.gateway_script import REPLY
from tests.support.origins import SITE
from tests.support.site import NO_MICROPHONE, PERMISSIONS, Site, told, violations
from tests.support.vendor_sdk import watch_by_sdk

QUESTION = Path(__file__).parents[1] / "data" / "speech" / "en_kokoro_am_michael_10.wav"
KEY = "a-key-of-the-shop"
MOST_BYTES = 60_000
"""Compressed, and without the vendor's SDK."""
ROOMY = {"width": 800, "height": 600}

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def gateway() -> AsyncIterator[RunningGateway]:
    """A gateway over scripted services, whose call has no picture, that the site may call."""
    async with running_gateway(keys=(KEY,), origins=(SITE,)) as running:
        yield running


async def ticket_of(gateway: RunningGateway) -> dict[str, Any]:
    """What the site's server gets for a user."""
    made = await gateway.client.post(
        "/api/digital-human/tickets",
        json={"userId": "ada"},
        headers={"Authorization": f"Bearer {KEY}"},
    )
    return dict(made.raise_for_status().json())


def site(gateway: RunningGateway, **attributes: str) -> Site:
    given = {name.replace("_", "-"): value for name, value in attributes.items()}
    return Site(gateway_url=gateway.url, attributes={"ticket-url": "/ticket", **given})


async def call(page: Page) -> None:
    await page.get_by_role("button", name="Talk").click()
    await expect(page.get_by_role("textbox")).to_be_visible()


async def test_a_call_by_keyboard_alone(browser: Browser, gateway: RunningGateway) -> None:
    async with browser.page(permissions=PERMISSIONS) as page:
        await site(gateway, mode="floating", name="Ada").open(page, ticket=await ticket_of(gateway))
        await page.get_by_role("link", name="Boots").focus()
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("button", name="Talk with Ada")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("textbox")).to_be_focused()
        await page.keyboard.type("Hello there?")
        await page.keyboard.press("Enter")
        await expect(page.locator(".reply")).to_have_text(REPLY)
        assert gateway.speech.texts == ["Hello there?"]
        # Until the reply has ended, words are elements.
        await expect(page.locator(".reply .word")).to_have_count(0)
        await page.get_by_role("button", name="End call").press("Enter")
        await expect(page.get_by_role("button", name="Talk with Ada")).to_be_focused()
        await gateway.tasks.until(lambda tasks: tasks.stops)
        assert not [each for each in await violations(page) if "connect-src" not in each]
        [connected] = await told(page, "connected")
        [turn] = await told(page, "turn")
        assert connected["taskId"] in gateway.tasks.tasks
        assert (turn["question"], turn["end"]["heard"]) == ("Hello there?", REPLY)


async def test_escape_interrupts(browser: Browser, gateway: RunningGateway) -> None:
    gateway.script.hold_reply = asyncio.Event()
    async with browser.page(permissions=PERMISSIONS) as page:
        await site(gateway).open(page, ticket=await ticket_of(gateway))
        await call(page)
        await page.get_by_role("textbox").fill("Hello?")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("button", name="Interrupt")).to_be_enabled()
        await page.keyboard.press("Escape")
        gateway.script.hold_reply.set()
        await gateway.speech.until(lambda: gateway.speech.interrupts == 1)
        await expect(page.get_by_role("button", name="End call")).to_be_visible()


async def test_the_open_microphone_is_heard_until_it_is_muted(
    browser: Browser, gateway: RunningGateway
) -> None:
    heard, second = gateway.speech.heard, 32_000
    async with browser.page(QUESTION, permissions=PERMISSIONS) as page:
        await site(gateway).open(page, ticket=await ticket_of(gateway))
        await call(page)
        await gateway.speech.until(lambda: len(heard) > second and any(heard[-second:]))
        await page.get_by_role("button", name="Mute").press(" ")
        await expect(page.get_by_role("button", name="Unmute")).to_be_visible()
        await gateway.speech.until(lambda: not any(heard[-second:]))


async def test_only_what_is_held_is_heard(browser: Browser, gateway: RunningGateway) -> None:
    async with browser.page(QUESTION, permissions=PERMISSIONS) as page:
        await site(gateway, talk_mode="hold").open(page, ticket=await ticket_of(gateway))
        await call(page)
        talk = page.get_by_role("button", name="Hold to talk")
        await expect(talk).to_be_focused()
        await page.keyboard.down(" ")
        await gateway.speech.until(lambda: len(gateway.speech.heard) > 32_000)
        await page.keyboard.up(" ")
        await expect(page.locator(".question")).to_have_text("what was heard")
        assert any(gateway.speech.utterances[0])


async def test_without_a_microphone_one_can_write(gateway: RunningGateway) -> None:
    async with (
        Browser.launched(allows_microphone=False) as browser,
        browser.page(permissions=NO_MICROPHONE) as page,
    ):
        await site(gateway).open(page, ticket=await ticket_of(gateway))
        await call(page)
        await expect(page.get_by_role("alert")).to_contain_text("The microphone is not allowed.")
        await expect(page.get_by_role("button", name="Use microphone")).to_be_visible()
        await page.get_by_role("textbox").fill("Hello?")
        await page.keyboard.press("Enter")
        await expect(page.locator(".reply")).to_have_text(REPLY)


async def test_a_refused_ticket_is_told_and_another_try_helps(
    browser: Browser, gateway: RunningGateway
) -> None:
    async with browser.page(permissions=PERMISSIONS) as page:
        at = site(gateway, mode="floating")
        await at.open(page)
        await page.get_by_role("button", name="Talk to us").click()
        await expect(page.get_by_role("alert")).to_contain_text("This page may not call")
        assert [each["code"] for each in await told(page, "error")] == ["credentials"]
        await page.unroute_all()
        await at.serve(page, ticket=await ticket_of(gateway))
        await page.get_by_role("button", name="Talk to us").click()
        await expect(page.get_by_role("textbox")).to_be_visible()
        await expect(page.get_by_role("alert")).to_be_hidden()


async def test_a_ticket_that_is_needed_during_a_call_is_for_its_task(
    browser: Browser, gateway: RunningGateway
) -> None:
    over = {"expiresAt": "2026-01-01T00:00:00Z"}
    asked: list[str] = []
    async with browser.page(permissions=PERMISSIONS) as page:
        page.on("request", lambda request: asked.append(request.url))
        await site(gateway).open(page, ticket=await ticket_of(gateway) | over)
        await call(page)
        await page.get_by_role("textbox").fill("Hello?")
        await page.keyboard.press("Enter")
        await expect(page.locator(".reply")).to_have_text(REPLY)
    [task_id] = gateway.tasks.tasks
    tickets = [url.removeprefix(SITE) for url in asked if url.startswith(f"{SITE}/ticket")]
    assert set(tickets) == {"/ticket", f"/ticket?taskId={task_id}"}
    assert tickets == sorted(tickets)


async def test_who_is_busy_or_gone_is_told(browser: Browser, gateway: RunningGateway) -> None:
    gateway.script.errors["CreateTask"] = ServiceError(Reason.QUOTA_EXCEEDED, "Full.")
    async with browser.page(permissions=PERMISSIONS) as page:
        await site(gateway).open(page, ticket=await ticket_of(gateway))
        await page.get_by_role("button", name="Talk to us").click()
        await expect(page.get_by_role("alert")).to_contain_text("All lines are busy")
        await page.evaluate(
            "document.querySelector('parley-avatar').setAttribute('gateway', 'http://localhost:1')"
        )
        await page.get_by_role("button", name="Talk with Guide").click()
        await expect(page.get_by_role("alert")).to_contain_text("The server does not answer.")


async def test_a_call_that_ends_elsewhere_is_told(
    browser: Browser, gateway: RunningGateway
) -> None:
    async with browser.page(permissions=PERMISSIONS) as page:
        await site(gateway, lang="zh").open(page, ticket=await ticket_of(gateway))
        await page.get_by_role("button", name="和我们聊聊").click()
        await expect(page.get_by_role("textbox", name="输入您的问题")).to_be_visible()
        [task_id] = gateway.tasks.tasks
        assert gateway.tasks.creates[0].language_code == "zh"
        await gateway.client.post(
            "/api/digital-human/stop-task",
            json={"taskId": task_id},
            headers={"Authorization": f"Bearer {KEY}"},
        )
        await expect(page.get_by_role("alert")).to_contain_text("通话已结束。")
        await expect(page.get_by_role("button", name="再次通话")).to_be_visible()
        assert await told(page, "ended") == [{"taskId": task_id, "reason": "REQUESTED"}]


async def test_an_element_may_move_and_its_call_ends_when_it_is_removed(
    browser: Browser, gateway: RunningGateway
) -> None:
    async with browser.page(permissions=PERMISSIONS) as page:
        await site(gateway).open(page, ticket=await ticket_of(gateway))
        await call(page)
        await page.evaluate("document.body.prepend(document.querySelector('parley-avatar'))")
        await page.get_by_role("textbox").fill("Hello?")
        await page.keyboard.press("Enter")
        await expect(page.locator(".reply")).to_have_text(REPLY)
        assert not gateway.tasks.stops
        await page.evaluate("document.querySelector('parley-avatar').remove()")
        await gateway.tasks.until(lambda tasks: tasks.stops)


async def test_a_page_that_is_loaded_again_goes_on_with_its_call(
    browser: Browser, gateway: RunningGateway
) -> None:
    async with browser.page(permissions=PERMISSIONS) as page:
        await site(gateway, mode="floating").open(page, ticket=await ticket_of(gateway))
        await call(page)
        for _ in range(2):
            await page.reload()
            await expect(page.get_by_role("button", name="End call")).to_be_visible()
        await page.get_by_role("textbox").fill("Hello?")
        await page.keyboard.press("Enter")
        await expect(page.locator(".reply")).to_have_text(REPLY)
        assert len(gateway.tasks.creates) == 1
        assert not gateway.tasks.stops
        await page.get_by_role("button", name="End call").click()
        await gateway.tasks.until(lambda tasks: tasks.stops)
        await page.reload()
        await expect(page.get_by_role("button", name="Talk to us")).to_be_visible()
        assert await page.evaluate("sessionStorage.length") == 0


async def test_of_several_elements_each_goes_on_with_its_own_call(
    browser: Browser, gateway: RunningGateway
) -> None:
    async with browser.page(permissions=PERMISSIONS) as page:
        await page.add_init_script(
            f"""addEventListener("DOMContentLoaded", () => {{
              const [first] = document.querySelectorAll("parley-avatar");
              const second = document.createElement("parley-avatar");
              const inside = document.createElement("parley-avatar");
              const host = document.createElement("div");
              first.id = "";
              document.body.append(second, host);
              host.attachShadow({{ mode: "open" }}).append(inside);
              for (const each of [first, second, inside]) each.credential = () => "{KEY}";
            }});"""
        )
        await site(gateway).open(page)
        elements = page.locator("parley-avatar")
        for number in range(3):
            await elements.nth(number).get_by_role("button", name="Talk").click()
            await expect(elements.nth(number).get_by_role("textbox")).to_be_visible()
        await page.reload()
        for number in range(3):
            await expect(elements.nth(number).get_by_role("textbox")).to_be_visible()
        await elements.nth(1).get_by_role("button", name="End call").click()
        await gateway.tasks.until(lambda tasks: tasks.stops)
        assert [each.task_id for each in gateway.tasks.stops] == [*gateway.tasks.tasks][1:2]


async def test_a_call_that_ended_while_its_page_was_loaded_is_told_once(
    browser: Browser, gateway: RunningGateway
) -> None:
    async with browser.page(permissions=PERMISSIONS) as page:
        await site(gateway).open(page, ticket=await ticket_of(gateway))
        await call(page)
        [task_id] = gateway.tasks.tasks
        await page.goto("about:blank")
        await gateway.tasks.move(
            task_id,
            task_pb2.TASK_STATE_STOPPED,
            stop_reason=task_pb2.STOP_REASON_CLIENT_GONE,
        )
        await page.goto(SITE)
        await expect(page.get_by_role("alert")).to_contain_text("ended while you were away")
        await page.reload()
        await expect(page.get_by_role("button", name="Talk to us")).to_be_visible()
        await expect(page.get_by_role("alert")).to_be_hidden()
        assert await page.evaluate("sessionStorage.length") == 0


async def test_a_site_that_may_not_call_is_told_what_to_set(browser: Browser) -> None:
    async with (
        running_gateway(keys=(KEY,)) as gateway,
        browser.page(permissions=PERMISSIONS) as page,
    ):
        await site(gateway).open(page, ticket=await ticket_of(gateway))
        await page.get_by_role("button", name="Talk to us").click()
        await expect(page.get_by_role("alert")).to_contain_text(
            f"must add {SITE} to GATEWAY_ALLOWED_ORIGINS"
        )
        [problem] = await told(page, "error")
        assert (problem["code"], problem["detail"]) == ("origin", SITE)


async def test_pages_control_the_element(browser: Browser, gateway: RunningGateway) -> None:
    async with browser.page(permissions=PERMISSIONS) as page:
        at = site(gateway)
        # Before the script has defined it.
        await page.add_init_script(
            f"""addEventListener("DOMContentLoaded", () => {{
              const avatar = document.querySelector("parley-avatar");
              avatar.credential = () => "{KEY}";
              avatar.clientTools = [{{ name: "show", description: "Shows.", handler() {{}} }}];
            }});"""
        )
        await at.open(page)
        names = "Object.getOwnPropertyNames(window)"
        assert not [name for name in await page.evaluate(names) if "parley" in name.lower()]
        element = page.locator("parley-avatar")
        # Twice at once is one call.
        await element.evaluate("(it) => Promise.all([it.start(), it.start()])")
        await element.evaluate("(it) => it.ask('Hello?')")
        await expect(page.locator(".reply")).to_have_text(REPLY)
        await element.evaluate("(it) => it.stop()")
        await expect(page.get_by_role("button", name="Call again")).to_be_visible()
        [created] = gateway.tasks.creates
        declared = task_pb2.ClientTool(name="show", description="Shows.")
        assert list(created.facts.client_tools.tools) == [declared]


@pytest.mark.parametrize("is_vendors", [True, False])
async def test_the_vendors_sdk_is_loaded_for_the_vendors_cloud_alone(
    browser: Browser, gateway: RunningGateway, is_vendors: bool
) -> None:
    loaded: list[str] = []
    async with browser.page(permissions=PERMISSIONS) as page:
        page.on("request", lambda request: loaded.append(request.url))
        if is_vendors:
            await watch_by_sdk(page, gateway)
        await site(gateway).open(page, ticket=await ticket_of(gateway))
        await call(page)
        if is_vendors:
            await expect(page.get_by_role("status")).to_have_text("Listening")
        else:
            await expect(page.get_by_role("alert")).to_contain_text("picture and sound")
    assert (f"{gateway.url}/clients/v1/zego-express-engine.js" in loaded) == is_vendors


@pytest.mark.parametrize("mode", ["floating", "inline"])
async def test_everything_has_a_name(browser: Browser, gateway: RunningGateway, mode: str) -> None:
    async with browser.page(permissions=PERMISSIONS) as page:
        await site(gateway, mode=mode).open(page, ticket=await ticket_of(gateway))
        await check_names(page, {"button"})
        await call(page)
        frame = {"floating": "dialog", "inline": "region"}[mode]
        await check_names(page, {"button", "textbox", "log", "status", frame})


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_texts_stand_out(browser: Browser, gateway: RunningGateway, theme: str) -> None:
    screen: dict[str, Any] = {"viewport": ROOMY, "device_scale_factor": 1}
    async with browser.page(permissions=PERMISSIONS, **screen) as page:
        await site(gateway, theme=theme).open(page, ticket=await ticket_of(gateway))
        ratios = await contrasts_of(page, ".call span", ".hint")
        await call(page)
        await page.get_by_role("textbox").fill("Hello?")
        await page.keyboard.press("Enter")
        await expect(page.locator(".reply")).to_have_text(REPLY)
        ratios |= await contrasts_of(page, ".reply", ".question", ".talk span", ".status")
        assert {name: ratio for name, ratio in ratios.items() if ratio < LEAST_CONTRAST} == {}


async def test_the_example_works_with_an_open_gateway(browser: Browser) -> None:
    example = (ROOT / "examples" / "widget.html").read_text()
    async with running_gateway() as gateway, browser.page(permissions=PERMISSIONS) as page:
        served = example.replace("http://127.0.0.1:8080", gateway.url)
        await page.route(
            "http://localhost:8000/**",
            lambda route: route.fulfill(body=served, content_type="text/html"),
        )
        await page.goto("http://localhost:8000/widget.html")
        await call(page)
        await page.get_by_role("textbox").fill("Hello?")
        await page.keyboard.press("Enter")
        await expect(page.locator("#log")).to_have_text(f"Hello? {REPLY}")


async def test_the_files_are_small_and_open_to_other_origins(gateway: RunningGateway) -> None:
    for name in ("parley.js", "capture.worklet.js", "zego-express-engine.js"):
        answer = await gateway.client.get(f"/clients/v1/{name}", headers={"Origin": "https://a.b"})
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/javascript")
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert "max-age=600" in answer.headers["Cache-Control"]
        etag = {"If-None-Match": answer.headers["ETag"]}
        again = await gateway.client.get(f"/clients/v1/{name}", headers=etag)
        assert again.status_code == 304
        assert again.headers["Access-Control-Allow-Origin"] == "*"
    # The script imports it by this name.
    assert b"as ZegoExpressEngine" in answer.content
    script = (BUILT / "clients" / "v1" / "parley.js").read_bytes()
    assert len(gzip.compress(script)) <= MOST_BYTES
