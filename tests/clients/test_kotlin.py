"""The Kotlin client: its own tests, those against a running stack, and the Android sample."""

import os
import subprocess
from collections.abc import Mapping

from anyio.from_thread import BlockingPortal

from tests.clients.conftest import Question
from tests.clients.live import live_environment
from tests.clients.toolchains import JAVA, require
from tests.support.compose import ROOT
from tests.support.stack import Stack

FOLDER = ROOT / "clients" / "kotlin"
LIBRARY = ("--projects", "client")


def maven(*words: str, environment: Mapping[str, str] | None = None) -> None:
    """Run Maven; fails with what it says."""
    require(JAVA)
    ran = subprocess.run(
        ["mvn", "--batch-mode", "--quiet", *words],
        cwd=FOLDER,
        env=os.environ | dict(environment or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout


def test_the_library() -> None:
    maven("test", *LIBRARY)


def test_the_android_sample() -> None:
    maven("compile")


def test_the_library_on_a_running_stack(
    stack: Stack, question: Question, portal: BlockingPortal
) -> None:
    with portal.wrap_async_context_manager(live_environment(stack, question)) as environment:
        chosen = ("-Dgroups=live", "-DexcludedGroups=")
        maven("test", *LIBRARY, *chosen, environment=environment)
