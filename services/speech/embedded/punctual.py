"""A language model whose reply begins in time, or fails."""

from collections.abc import AsyncIterator

from services.speech.ports.chat import ChatItem, ChatModel, ChatRequest
from services.speech.ports.errors import ProviderError
from services.speech.ports.stages import Stage
from services.speech.streams import beginning, closing


class PunctualChatModel:
    """A model on this machine, which may be busy with other replies or other programs.

    It is then slow rather than stuck, but nobody waits in silence for as long as that may take.
    """

    def __init__(self, model: ChatModel, *, first_byte_s: float) -> None:
        self._model = model
        self._first_byte_s = first_byte_s

    @property
    def name(self) -> str:
        """The model's own name."""
        return self._model.name

    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatItem]:
        """Yield the model's reply; raises ProviderError, also when its beginning is late."""
        items = beginning(self._model.stream(request), self._first_byte_s)
        try:
            async with closing(items):
                async for item in items:
                    yield item
        except TimeoutError:
            what = f"no word in {self._first_byte_s:g} s: the machine is busy"
            raise ProviderError(Stage.CHAT, self.name, what, transient=True) from None
