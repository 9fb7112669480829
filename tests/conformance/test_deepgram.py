"""What only Deepgram's adapters do."""

from typing import Any

import pytest
from pydantic import SecretStr

from services.speech.ports.recognition import RecognitionRequest
from services.speech.vendors.deepgram import nova
from services.speech.vendors.deepgram.settings import DeepgramSettings
from services.speech.vendors.deepgram_transcription import VENDOR
from services.speech.vendors.websocket import pools
from tests.conformance.asking import heard, hearing, until
from tests.conformance.script import KEY, Heard
from tests.conformance.servers.deepgram_transcription import FluxServer, NovaServer
from tests.conformance.socket_server import Connection
from tests.conformance.subject import PATIENT


class NothingLeftServer(NovaServer):
    """Has recognized everything before `Finalize`, which it leaves unanswered."""

    async def finalize(self, connection: Connection[Heard], heard: int) -> None:
        """Tell nothing of it."""
        await self.tell(connection, self.utterance.final, heard, is_final=True)


def settings(**chosen: Any) -> DeepgramSettings:
    """Settings with a key."""
    return DeepgramSettings(**{"setting": "SPEECH_RECOGNIZER", "api_key": SecretStr(KEY), **chosen})


async def test_ends_an_utterance_of_which_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nova, "FLUSH_S", 0.05)
    async with (
        NothingLeftServer.open() as server,
        VENDOR.open(settings(base_url=server.url), PATIENT) as recognizer,
    ):
        for _ in range(2):
            *_, final = await heard(recognizer, hearing())
            assert (final.text, final.is_final) == (server.utterance.final, True)


async def test_keeps_a_connection_for_a_while_and_closes_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nova, "KEEP_ALIVE_S", 0.02)
    monkeypatch.setattr(nova, "IDLE_S", 0.06)
    async with (
        NovaServer.open() as server,
        VENDOR.open(settings(base_url=server.url), PATIENT) as recognizer,
    ):
        await heard(recognizer, hearing())
        assert server.connection_count == 1
        await until(lambda: server.connection_count == 0)
    assert server.signs == ["Finalize", *["KeepAlive"] * 3, "CloseStream"]


async def test_serves_utterances_with_the_same_wishes_on_one_connection() -> None:
    async with (
        NovaServer.open() as server,
        VENDOR.open(settings(base_url=server.url), PATIENT) as recognizer,
    ):
        for words in ((), ("Parley",), (), ("Parley",), ()):
            await heard(recognizer, hearing("en-US", *words))
    assert len(server.heads) == 2


async def test_keeps_no_more_connections_than_sets_of_wishes_in_use() -> None:
    async with (
        NovaServer.open() as server,
        VENDOR.open(settings(base_url=server.url), PATIENT) as recognizer,
    ):
        for number in range(pools.MOST_URLS + 3):
            await heard(recognizer, hearing("en-US", f"Parley {number}"))
        await until(lambda: server.connection_count == pools.MOST_URLS)
        await heard(recognizer, hearing("en-US", f"Parley {number}"))
        assert len(server.heads) == pools.MOST_URLS + 3


@pytest.mark.parametrize(
    ("languages", "named"),
    [
        (("en-GB",), "en"),
        (("zh-TW",), "zh-TW"),
        (("en-US", "es-ES"), "multi"),
        (("zh-CN", "en-US"), "zh"),
    ],
)
async def test_names_languages_as_the_models_know_them(
    languages: tuple[str, ...], named: str
) -> None:
    async with (
        NovaServer.open() as server,
        VENDOR.open(settings(base_url=server.url), PATIENT) as recognizer,
    ):
        await heard(recognizer, RecognitionRequest(language_codes=languages))
    assert server.sessions[0].languages == (named,)


async def test_asks_flux_for_the_ends_that_are_set() -> None:
    chosen = settings(model="flux-general-en", turn_end=0.8, eager_turn_end=0)
    async with (
        FluxServer.open() as server,
        VENDOR.open(chosen.model_copy(update={"base_url": server.url}), PATIENT) as recognizer,
    ):
        await heard(recognizer, hearing("en-US", "Parley"))
    (query,) = server.queries
    assert query["eot_threshold"] == ["0.8"]
    assert "eager_eot_threshold" not in query
    assert "language_hint" not in query
    assert query["keyterm"] == ["Parley"]


async def test_flux_leaves_no_connection_open_between_turns() -> None:
    async with (
        FluxServer.open() as server,
        VENDOR.open(settings(base_url=server.url, model="flux-general-en"), PATIENT) as recognizer,
    ):
        await heard(recognizer, hearing())
        await until(lambda: server.connection_count == 0)


def test_wants_a_key_and_thresholds_in_order() -> None:
    with pytest.raises(ValueError, match="SPEECH_RECOGNIZER_API_KEY must be set"):
        settings(api_key=None)
    with pytest.raises(ValueError, match="EAGER_TURN_END must not be above"):
        settings(eager_turn_end=0.8, turn_end=0.6)
