"""What tests of whole processes share: one running stack, and its words when a test fails."""

from collections.abc import Generator, Iterator

import pytest
from anyio.from_thread import start_blocking_portal

from tests.support.stack import Stack, running_stack


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
