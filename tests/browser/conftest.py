"""One browser for the tests of a worker; each opens a page of its own."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.support.browser import Browser


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """It lives in the session's loop, so the tests of this folder run there."""
    async with Browser.launched() as launched:
        yield launched
