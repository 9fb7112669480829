"""Headless Chromium for tests: a fake microphone, real sound, nothing from the network."""

import asyncio
import shutil
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

from playwright.async_api import Browser as Chromium
from playwright.async_api import Error, Page, async_playwright, expect

# That without a user interface takes a third of the time.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--allow-loopback-in-peer-connection",
    "--autoplay-policy=no-user-gesture-required",
)
MICROPHONE_ALLOWED = "--use-fake-ui-for-media-stream"
MICROPHONE_DENIED = f"{MICROPHONE_ALLOWED}=deny"
# Without a GPU, each pixel costs CPU time, and so does what moves for the eye alone. A page is laid
# out as on any screen, and drawn with half as many pixels each way.
PLAIN: dict[str, Any] = {
    "viewport": {"width": 560, "height": 420},
    "device_scale_factor": 0.5,
    "reduced_motion": "reduce",
}
NOWHERE = "about:blank"
ACTION_TIMEOUT_MS = 30_000
MICROPHONE_RATE_HERTZ = 16_000
# A busy machine is no reason to fail.
expect.set_options(timeout=ACTION_TIMEOUT_MS)


def find_browser() -> str:
    """Path of the browser; fails the test when there is none."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    raise AssertionError(f"none of {', '.join(NAMES)} is installed: run `make browser`")


class Browser:
    """A running Chromium, whose users' microphones hear a file."""

    def __init__(self, chromium: Chromium, heard: Path) -> None:
        self._chromium = chromium
        self._heard = heard

    @classmethod
    @asynccontextmanager
    async def launched(cls, *, allows_microphone: bool = True) -> AsyncIterator[Self]:
        """Run one until the block is left: to start one for each test costs more than most."""
        permission = MICROPHONE_ALLOWED if allows_microphone else MICROPHONE_DENIED
        with TemporaryDirectory() as folder:
            heard = Path(folder) / "heard.wav"
            flags = [*FLAGS, permission, f"--use-file-for-fake-audio-capture={heard}"]
            async with (
                async_playwright() as driver,
                await driver.chromium.launch(
                    executable_path=find_browser(), args=flags
                ) as chromium,
            ):
                yield cls(chromium, heard)

    @asynccontextmanager
    async def page(
        self,
        microphone: Path | None = None,
        *,
        lead_s: float = 0,
        pause_s: float = 0,
        **context: Any,
    ) -> AsyncIterator[Page]:
        """Open a page as a new user's, whose microphone hears a WAV file over and over.

        Without one it hears silence, of which `lead_s` come before the file each time, and
        `pause_s` after it.
        `context` are options of the browser's context: colour scheme, locale, viewport and so on.
        Errors that the page's scripts throw fail the test when the block is left.
        """
        errors: list[str] = []

        def note(error: Error) -> None:
            # Scripts of a test find nothing of theirs on the empty page.
            if page.url != NOWHERE:
                errors.append(str(error))

        # Chromium reads the file when a microphone is opened.
        _write_microphone(self._heard, microphone, lead_s, pause_s if microphone else 1)
        async with await self._chromium.new_context(**{**PLAIN, **context}) as user:
            page = await user.new_page()
            page.set_default_timeout(ACTION_TIMEOUT_MS)
            page.on("pageerror", note)
            yield page
            # As people leave: a page that is only closed says nothing, and is sent its picture on.
            await page.goto(NOWHERE)
            assert not errors, errors


def _write_microphone(path: Path, speech: Path | None, lead_s: float, pause_s: float) -> None:
    pcm, rate = b"", MICROPHONE_RATE_HERTZ
    if speech:
        with wave.open(str(speech)) as file:
            pcm, rate = file.readframes(file.getnframes()), file.getframerate()
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        lead, pause = (bytes(2 * int(seconds * rate)) for seconds in (lead_s, pause_s))
        file.writeframes(lead + pcm + pause)


# Sampled within the page: its security policy lets nobody evaluate texts over and over.
LISTEN = """
() => {
  const stream = document.getElementById("sound").srcObject;
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  analyser.fftSize = 8192;
  context.createMediaStreamSource(stream).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  window.levels = [];
  setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    const power = samples.reduce((sum, each) => sum + each * each, 0) / samples.length;
    window.levels.push(Math.sqrt(power));
  }, 50);
}
"""
UNTIL = """
([count, least, most]) => new Promise((resolve) => {
  window.levels.length = 0;
  const timer = setInterval(() => {
    const last = window.levels.slice(-count);
    if (last.length < count || !last.every((level) => level >= least && level <= most)) return;
    clearInterval(timer);
    resolve();
  }, 50);
})
"""
HEARING_TIMEOUT_S = 60


async def listen(page: Page) -> None:
    """Take the level of what the page plays from now on, 20 times a second."""
    await page.evaluate(LISTEN)


async def until_heard(page: Page) -> None:
    """Return when there is sound: an RMS above 0.01 of full scale."""
    async with asyncio.timeout(HEARING_TIMEOUT_S):
        await page.evaluate(UNTIL, [1, 0.01, 1])


async def until_silent(page: Page) -> None:
    """Return when there has been no sound for half a second."""
    async with asyncio.timeout(HEARING_TIMEOUT_S):
        await page.evaluate(UNTIL, [10, 0, 0.001])
