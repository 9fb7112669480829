"""A language model that begins its reply in time, or fails."""

from collections.abc import AsyncIterator, Sequence

from services.speech.ports import ChatMessage, ChatModel, ProviderError, Stage
from services.speech.streams import beginning, closing


class PunctualChatModel:
    """A model of this machine, which may be busy: with other replies, or with other programs.

    It is slow then and does not hang, but nobody waits in silence for as long as that may take.
    """

    def __init__(self, model: ChatModel, *, first_byte_s: float) -> None:
        self._model = model
        self._first_byte_s = first_byte_s

    @property
    def name(self) -> str:
        """The model's own."""
        return self._model.name

    async def stream(self, messages: Sequence[ChatMessage]) -> AsyncIterator[str]:
        """Yield its deltas; raises ProviderError, also when the first one is late."""
        deltas = beginning(self._model.stream(messages), self._first_byte_s)
        try:
            async with closing(deltas):
                async for delta in deltas:
                    yield delta
        except TimeoutError:
            what = f"no word in {self._first_byte_s:g} s: the machine is busy"
            raise ProviderError(Stage.CHAT, self.name, what, transient=True) from None
