"""A language model whose reply begins in time, or fails."""

from collections.abc import AsyncIterator, Sequence

from services.speech.ports import ChatMessage, ChatModel, ProviderError, Stage
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

    async def stream(self, messages: Sequence[ChatMessage]) -> AsyncIterator[str]:
        """Yield the model's deltas; raises ProviderError, also when the first is late."""
        deltas = beginning(self._model.stream(messages), self._first_byte_s)
        try:
            async with closing(deltas):
                async for delta in deltas:
                    yield delta
        except TimeoutError:
            what = f"no word in {self._first_byte_s:g} s: the machine is busy"
            raise ProviderError(Stage.CHAT, self.name, what, transient=True) from None
