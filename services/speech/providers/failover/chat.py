"""Language models in order: the next one replies when one fails to begin."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Self

from services.speech.answers import answered
from services.speech.ports.chat import ChatItem, ChatModel, ChatRequest
from services.speech.ports.stages import Stage
from services.speech.providers.failover.relay import FailoverRules, Relay
from services.speech.providers.probes import probe_chat
from services.speech.streams import beginning


class FailoverChatModel:
    """One chat model made of several, which all get the same prompt.

    No other model restarts a reply that has begun: its first words may have been spoken. A model
    that ends without a word has failed.
    """

    def __init__(self, relay: Relay[ChatModel]) -> None:
        self._relay = relay

    @classmethod
    @asynccontextmanager
    async def open(cls, models: Sequence[ChatModel], rules: FailoverRules) -> AsyncIterator[Self]:
        """A model whose members are probed during outages."""
        relay = Relay(Stage.CHAT, models, rules)
        async with relay.probed(probe_chat):
            yield cls(relay)

    @property
    def name(self) -> str:
        """The names of all models."""
        return self._relay.name

    def stream(self, request: ChatRequest) -> AsyncIterator[ChatItem]:
        """Yield the reply of one model; raises ProviderError."""
        return self._relay.relay(
            lambda model, patience_s: beginning(
                answered(model.stream(request), model.name), patience_s
            )
        )
