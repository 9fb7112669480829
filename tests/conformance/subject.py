"""The adapters under test, each with the server that it talks to.

For each file of `services/speech/vendors` that declares a vendor there is one of the same name in
`tests/conformance/servers`. Its `SUBJECTS` are what is tested: one, or several where the settings
choose between protocols.
"""

import pkgutil
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from pydantic import SecretStr

from services.speech import vendors
from services.speech.ports.chat import ChatModel
from services.speech.ports.recognition import Recognizer
from services.speech.ports.stages import Stage
from services.speech.ports.synthesis import Synthesizer
from services.speech.streams import Deadlines
from services.speech.vendors.declaration import ChatVendor, RecognizerVendor
from services.speech.vendors.registry import Vendor
from tests.conformance import servers
from tests.conformance.script import KEY, ChatServer, RecognitionServer, Server, SynthesisServer

PATIENT = Deadlines(first_s=20, next_s=20, total_s=60)
SHORT = Deadlines(first_s=0.3, next_s=0.3, total_s=5)
"""For what must be late: a server that is silent."""

NO_OLD_CONNECTIONS = {
    "old_connection": "each connection serves one request, or the protocol closes it only between"
    " requests"
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A vendor's adapter with certain settings, and its server.

    `without` names the behaviours that the vendor does not offer, each with the reason.
    """

    name: str
    vendor: Vendor
    server: Callable[[], AbstractAsyncContextManager[Any]]
    """Opens the server of the vendor's stage."""
    options: Mapping[str, Any] = field(default_factory=dict)
    without: Mapping[str, str] = field(default_factory=dict)

    @property
    def stage(self) -> Stage:
        """The stage that the vendor serves."""
        if isinstance(self.vendor, RecognizerVendor):
            return Stage.RECOGNITION
        return Stage.CHAT if isinstance(self.vendor, ChatVendor) else Stage.SYNTHESIS

    def open(
        self, server: Server, deadlines: Deadlines = PATIENT
    ) -> AbstractAsyncContextManager[Any]:
        """The provider, with a server that is up."""
        settings = self.vendor.settings(
            setting="SPEECH_TESTED",
            base_url=server.url,
            api_key=SecretStr(KEY),
            **self.options,
        )
        return self.vendor.open(settings, deadlines)

    @asynccontextmanager
    async def recognizer(
        self, deadlines: Deadlines = PATIENT
    ) -> AsyncIterator[tuple[Recognizer, RecognitionServer]]:
        """A recognizer and its server."""
        async with self.server() as server, self.open(server, deadlines) as recognizer:
            yield recognizer, server

    @asynccontextmanager
    async def chat(
        self, deadlines: Deadlines = PATIENT
    ) -> AsyncIterator[tuple[ChatModel, ChatServer]]:
        """A language model and its server."""
        async with self.server() as server, self.open(server, deadlines) as model:
            yield model, server

    @asynccontextmanager
    async def synthesizer(
        self, deadlines: Deadlines = PATIENT
    ) -> AsyncIterator[tuple[Synthesizer, SynthesisServer]]:
        """A synthesizer and its server."""
        async with self.server() as server, self.open(server, deadlines) as synthesizer:
            yield synthesizer, server


def files_with_vendors() -> Iterator[str]:
    """Yield the names of the files that declare a vendor."""
    for module in pkgutil.iter_modules(vendors.__path__):
        if hasattr(import_module(f"{vendors.__name__}.{module.name}"), "VENDOR"):
            yield module.name


def files_with_subjects() -> Iterator[str]:
    """Yield the names of the files that have subjects."""
    for module in pkgutil.iter_modules(servers.__path__):
        if hasattr(import_module(f"{servers.__name__}.{module.name}"), "SUBJECTS"):
            yield module.name


def subjects() -> list[Subject]:
    """All that is tested, in the order of their files."""
    return [
        subject
        for name in files_with_subjects()
        for subject in import_module(f"{servers.__name__}.{name}").SUBJECTS
    ]
