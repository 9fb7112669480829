"""Numbers of written sentences come back by ear; `make eval` hears many more."""

import pytest

from tests.support.embedded import EmbeddedStack
from tests.support.spoken import Sentence, hear

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]


SENTENCES = (
    ("en", "Version 2.4.1 came out last week."),
    ("en", "Call us at 1-800-555-0199."),
    ("en", "It is 60 mph on this road."),
    ("en", "He is 6'2\" tall."),
    ("zh", "路由器的地址是192.168.1.1。"),
    ("zh", "您的订单号是48213。"),
    ("zh", "您住在1508房间。"),
    ("zh", "水和盐的比例是3:1。"),
)
FURTHER = (
    ("en", "The server is at 192.168.1.1."),
    ("en", "Please call us at 1-800-555-0199 any time."),
    ("zh", "新版本2.4.1已经发布。"),
    ("zh", "市民热线是12345。"),
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A sentence for each way to say a number, and with --thorough further ones."""
    further = FURTHER if metafunc.config.getoption("thorough") else ()
    metafunc.parametrize(("language", "written"), SENTENCES + further)


async def test_numbers_come_back(stack: EmbeddedStack, language: str, written: str) -> None:
    sentence = Sentence(language=language, written=written)
    heard = await hear(sentence, stack.synthesizer, stack.recognizer)
    assert heard.came_back, heard
