"""`@parley/client`: its own tests, and the packed package in projects that have nothing else."""

import gzip
import json
import os
import re
import threading
from collections.abc import AsyncIterator, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import pytest_asyncio

from tests.clients import npm, toolchains
from tests.clients.conftest import Question
from tests.clients.firefox import running_firefox
from tests.support.browser import Browser
from tests.support.stack import Stack
from tests.support.wer import word_error_rate

PACKAGE = npm.CLIENTS / "js"
PROGRAMS = Path(__file__).parent / "js"
ROLLDOWN = npm.MODULES / ".bin" / "rolldown"
COMPILER = npm.MODULES / "typescript-7" / "bin" / "tsc"
CORE_BYTES = 30_000
QUESTION_ERROR_LIMIT = 0.5
ANSWER_ERROR_LIMIT = 0.2
KINDS = ["function", "function", "function"]
# Ten messages of 20 ms.
FRAMES = [320] * 10


@pytest.fixture(scope="module")
def built() -> None:
    """The package, built from the locked packages."""
    toolchains.require(toolchains.NODE)
    npm.install()
    npm.run("npm", "run", "build", cwd=PACKAGE)


@pytest.fixture(scope="module")
def project(built: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that has the packed package and nothing else."""
    folder = tmp_path_factory.mktemp("project")
    npm.pack("js", folder)
    return folder


@pytest.fixture
def served(project: Path) -> Iterator[str]:
    """The address of a page in the project that uses the package as it is, without a bundler."""
    (project / "index.html").write_bytes((PROGRAMS / "unbundled.html").read_bytes())
    handler = partial(SimpleHTTPRequestHandler, directory=str(project))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/index.html"
        server.shutdown()
        thread.join()


@pytest_asyncio.fixture
async def browser() -> AsyncIterator[Browser]:
    """A Chromium with a microphone."""
    async with Browser.launched() as launched:
        yield launched


def test_its_own(built: None) -> None:
    npm.run("npm", "test", cwd=PACKAGE)


def test_what_is_packed(project: Path) -> None:
    package = project / "node_modules" / "@parley" / "client"
    files = {path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file()}
    assert {"package.json", "README.md", "LICENSE", "dist/index.js", "dist/index.d.ts"} <= files
    assert {path for path in files if not path.startswith("dist/")} == {
        *("package.json", "README.md", "LICENSE")
    }
    manifest = json.loads((package / "package.json").read_text("utf-8"))
    assert "dependencies" not in manifest
    assert [path.name for path in (project / "node_modules").glob("[!.@]*")] == []


def test_the_core_is_small(project: Path) -> None:
    """All that the package exports without a browser, as users get it."""
    (project / "core.js").write_text('export * from "@parley/client";', "utf-8")
    npm.run(str(ROLLDOWN), "core.js", "--minify", "--file", "core.min.js", cwd=project)
    assert len(gzip.compress((project / "core.min.js").read_bytes())) <= CORE_BYTES


def test_the_examples_of_its_readme(project: Path) -> None:
    """They compile, strictly, against what is packed."""
    examples = re.findall(r"```ts\n(.*?)```", (PACKAGE / "README.md").read_text("utf-8"), re.DOTALL)
    assert len(examples) == 3
    sources = project / "examples"
    sources.mkdir()
    for number, example in enumerate(examples):
        (sources / f"{number}.ts").write_text(example, "utf-8")
    npm.borrow("@types/node", project)
    npm.borrow("undici-types", project)
    options = ("--strict", "--noEmit", "--skipLibCheck", "--module", "nodenext")
    libraries = ("--target", "es2024", "--lib", "es2024,dom", "--types", "node")
    files = [str(path) for path in sorted(sources.iterdir())]
    npm.run("node", str(COMPILER), "--ignoreConfig", *options, *libraries, *files, cwd=project)


def test_a_call_in_node(project: Path, stack: Stack, question: Question) -> None:
    npm.borrow("ws", project)
    program = project / "converse.mjs"
    program.write_bytes((PROGRAMS / "converse.mjs").read_bytes())
    env = os.environ | {
        "GATEWAY": stack.gateway_url,
        "CREDENTIAL": stack.api_key,
        "WAV": str(question.wav),
        "PERSONA": question.persona_id,
    }
    lines = npm.run("node", str(program), cwd=project, env=env).splitlines()
    spoken, written, record, end = map(json.loads, lines)
    assert spoken["origin"] == "SPEECH"
    # A number may be written in digits.
    assert word_error_rate(question.text, spoken["question"]) <= QUESTION_ERROR_LIMIT
    assert word_error_rate(question.answer, spoken["heard"]) <= ANSWER_ERROR_LIMIT
    assert written["origin"] == "TEXT"
    assert written["events"][0] == "ready"
    assert written["events"][-1] == "turn_finished"
    assert record["turns"] == [
        {"transcript": spoken["question"], "heard": spoken["heard"]},
        {"transcript": "Where is my order?", "heard": written["heard"]},
    ]
    assert end == {"ended": "REQUESTED"}


async def test_chromium_without_a_bundler(served: str, browser: Browser) -> None:
    async with browser.page() as page:
        await page.goto(served)
        await page.wait_for_function("document.title.includes('320')")
        told = json.loads(await page.title())
        assert told == {"kinds": KINDS, "opened": True, "frames": FRAMES}


async def test_firefox_without_a_bundler(served: str) -> None:
    """Its audio thread runs only where there is a loudspeaker: no frames are waited for."""
    toolchains.require(toolchains.FIREFOX)
    async with running_firefox() as firefox:
        await firefox.open(served)
        told = json.loads(await firefox.until("document.title.startsWith('{') && document.title"))
        assert (told["kinds"], told["opened"]) == (KINDS, True)
