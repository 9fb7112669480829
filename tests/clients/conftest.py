"""What the clients in other languages are tried against: a running stack, and a spoken question.

Of `stack`, `stack.gateway_url` and `stack.api_key` are for HTTP, `stack.target("speech")` and
`stack.service_token` for gRPC; `await stack.restart("speech")` starts a process again.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal

from tests.clients.toolchains import TOOLCHAINS
from tests.support.collector import Collector
from tests.support.compose import ROOT
from tests.support.stack import Stack
from tests.support.whole_stack import whole_stack

RECORDINGS = ROOT / "tests" / "data" / "speech"
QUESTION = "en_kokoro_bf_emma_3.wav"
# A cold build fetches its packages, on a machine that does other things as well.
TIMEOUT_S = 900


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A spoken question, the persona that answers it in one sentence, and what that says."""

    wav: Path
    """16-bit mono PCM at 16 kHz."""
    text: str
    persona_id: str
    answer: str


@pytest.fixture(scope="session")
def question() -> Question:
    """A question whose answer the persona knows."""
    recordings = json.loads((RECORDINGS / "manifest.json").read_text(encoding="utf-8"))
    (text,) = (each["text"] for each in recordings if each["file"] == QUESTION)
    return Question(
        wav=RECORDINGS / QUESTION,
        text=text,
        persona_id="terse",
        answer="I am sorry to hear that your order is late.",
    )


@pytest.fixture(scope="session")
def stack(
    portal: BlockingPortal, collector: Collector, personas: Path, journal: dict[str, str]
) -> Iterator[Stack]:
    """The processes, without TLS: the clients of gRPC have no certificates."""
    running = whole_stack(collector=collector, personas=personas, journal=journal, has_tls=False)
    with portal.wrap_async_context_manager(running) as started:
        yield started


@pytest.fixture(scope="session", autouse=True)
def no_authorities() -> None:
    """Trust whom the machine trusts, unlike other tests: builds fetch what is pinned."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give builds their time."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(TIMEOUT_S), append=False)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the toolchains that are missing."""
    for toolchain in TOOLCHAINS:
        if missing := toolchain.missing():
            terminalreporter.write_line(f"missing toolchain: {missing}")
