"""What tests of whole processes share: one running stack, and its words when a test fails."""

from collections.abc import Generator, Iterator
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal
from xdist.scheduler.loadscope import LoadScopeScheduling

from tests.support.stack import Stack, running_stack

COSTLY_FOLDERS = {"browser": "stack", "e2e": "stack", "models": "models"}


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """All processes with the small real models, started once and shared.

    They run on a loop and thread of their own, so that no test's loop must live for them. A test
    leaves them as it found them; one that kills a process runs a stack of its own.
    """
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(running_stack()) as started,
    ):
        yield started


class CostlySharing(LoadScopeScheduling):
    """Hands files to workers, but all that share the stack, or the models, to one of them.

    The `loadgroup` of pytest-xdist 3.8 does nothing under pytest 9.2, whose node ids are no text.
    """

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        folder = path.split("/")[1]
        return COSTLY_FOLDERS.get(folder, path)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> CostlySharing:
    """Share the tests among the workers."""
    return CostlySharing(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add what the processes said to the report of a failure."""
    report = yield
    used = getattr(item, "funcargs", {}).get("stack")
    if report.failed and isinstance(used, Stack):
        report.sections.append(("processes", used.tell()))
    return report
