"""The Swift client: its own tests, also against a running stack, where there is a compiler."""

import os
import subprocess
from collections.abc import Mapping

import pytest
from anyio.from_thread import BlockingPortal

from tests.clients.conftest import Question
from tests.clients.live import live_environment
from tests.clients.toolchains import SWIFT
from tests.support.compose import ROOT
from tests.support.stack import Stack

FOLDER = ROOT / "clients" / "swift"
# No machine of continuous integration has one: unlike others, it may be missing there.
pytestmark = pytest.mark.skipif(bool(SWIFT.missing()), reason=SWIFT.missing())


def swift_test(*words: str, environment: Mapping[str, str] | None = None) -> None:
    """Run the package's tests; fails with what they say."""
    ran = subprocess.run(
        ["swift", "test", *words],
        cwd=FOLDER,
        env=os.environ | dict(environment or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout


def test_the_library() -> None:
    swift_test("--skip", "LiveTests")


def test_the_library_on_a_running_stack(
    stack: Stack, question: Question, portal: BlockingPortal
) -> None:
    with portal.wrap_async_context_manager(live_environment(stack, question)) as environment:
        swift_test("--filter", "LiveTests", environment=environment)
