"""A vendor that has moved is followed within its own origin, and nowhere else."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from pydantic import SecretStr

from services.speech.ports.errors import ProviderError
from services.speech.ports.stages import Stage
from services.speech.streams import Deadlines
from services.speech.vendors.http.client import Endpoint
from services.speech.vendors.http.parameters import Parameters
from services.speech.vendors.http.requester import MOST_REDIRECTS, Requester

HOST = "https://vendor.invalid"
ENDPOINT = Endpoint(
    name="vendor",
    base_url=f"{HOST}/v1",
    api_key=SecretStr("sk-secret"),
    model="some-model",
    deadlines=Deadlines(first_s=30, next_s=30, total_s=60),
)
QUESTION = {"question": "Why?"}


class MovedVendor:
    """Redirects from each address in `moves`, and answers at all others."""

    def __init__(self, moves: dict[str, str], status: int = 307) -> None:
        self.asked: list[httpx.Request] = []
        self._moves = moves
        self._status = status

    async def answer(self) -> int:
        """Return the status of the answer to a question."""
        async with httpx.AsyncClient(
            base_url=ENDPOINT.base_url, transport=httpx.MockTransport(self._handle)
        ) as client:
            requester = Requester(client, ENDPOINT, Stage.CHAT, Parameters(values={}))
            async with requester.post("chat", lambda _: {"json": QUESTION}) as response:
                return response.status_code

    def _handle(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        to = self._moves.get(str(request.url))
        if to is None:
            return httpx.Response(200 if request.method == "POST" else 405)
        return httpx.Response(self._status, headers={"location": to}, text="<p>Moved</p>")


@contextmanager
def refused(*, said: str) -> Iterator[None]:
    """Expect a failure that trying again does not mend, and that says where the vendor went."""
    with pytest.raises(ProviderError) as failure:
        yield
    assert not failure.value.transient
    assert failure.value.vendor_message == said


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("to", ["/v1/chat/", "../v2/chat", f"{HOST}/v2/chat", f"{HOST}:443/v2"])
async def test_the_question_is_asked_where_the_vendor_moved_to(status: int, to: str) -> None:
    vendor = MovedVendor({f"{HOST}/v1/chat": to}, status)
    assert await vendor.answer() == 200
    first, second = vendor.asked
    assert second.method == "POST"
    assert second.content == first.content


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("https://other.invalid/v1/chat", "https://other.invalid/v1/chat"),
        ("//other.invalid/v1", "https://other.invalid/v1"),
        ("http://vendor.invalid/v1/chat", "http://vendor.invalid/v1/chat"),
        (f"{HOST}:8443/v1", f"{HOST}:8443/v1"),
        ("https://me:word@other.invalid/sign?key=sk-secret", "https://other.invalid/sign"),
    ],
)
async def test_nothing_is_sent_elsewhere(status: int, to: str, said: str) -> None:
    vendor = MovedVendor({f"{HOST}/v1/chat": to}, status)
    with refused(said=f"redirects to {said}"):
        await vendor.answer()
    assert len(vendor.asked) == 1


async def test_a_redirect_that_forgets_the_question_is_not_followed() -> None:
    vendor = MovedVendor({f"{HOST}/v1/chat": "/result"}, 303)
    with refused(said=f"redirects to {HOST}/result"):
        await vendor.answer()
    assert len(vendor.asked) == 1


async def test_a_circle_ends() -> None:
    vendor = MovedVendor({f"{HOST}/v1/chat": "/b", f"{HOST}/b": "/v1/chat"})
    with refused(said=f"redirects to {HOST}/v1/chat"):
        await vendor.answer()
    assert len(vendor.asked) == 2


async def test_an_endless_way_ends() -> None:
    moves = {f"{HOST}/{at}": f"/{at + 1}" for at in range(9)} | {f"{HOST}/v1/chat": "/0"}
    vendor = MovedVendor(moves)
    with refused(said=f"redirects to {HOST}/{MOST_REDIRECTS}"):
        await vendor.answer()
    assert len(vendor.asked) == MOST_REDIRECTS + 1
