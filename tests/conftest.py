"""What tests of whole processes share: one running stack, and its words when a test fails."""

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal

from tests.support.stack import Stack, running_stack

MODELS = Path(__file__).with_name("models")


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


# Before xdist reads the groups.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep together, on one worker, tests that share what is costly: the stack, or the models."""
    for item in items:
        if "stack" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("stack"))
        elif item.path.is_relative_to(MODELS):
            item.add_marker(pytest.mark.xdist_group("models"))


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
