"""What goes wrong with any vendor, and that the next request is served all the same."""

from contextlib import suppress

import pytest

from services.speech.ports.errors import ProviderError, ProviderQuotaError
from services.speech.ports.stages import Stage
from services.speech.vendors.websocket import client, pool
from tests.conformance.asking import ask, exchange, until
from tests.conformance.script import KEY, RETRY_AFTER_S, Trouble
from tests.conformance.subject import SHORT, Subject

STAGES = tuple(Stage)


async def failure(subject: Subject, trouble: Trouble) -> ProviderError:
    """Return how a provider fails in a trouble, and see that it serves once that is over."""
    async with exchange(subject) as (request, server):
        server.trouble = trouble
        with pytest.raises(ProviderError) as caught:
            await request()
        server.trouble = None
        await request()
    error = caught.value
    assert error.__cause__ is None
    assert KEY not in f"{error} {error.vendor_message}"
    return error


async def test_wrong_key(subject: Subject) -> None:
    """A refused key is a mistake that no later request mends; it appears in no error."""
    error = await failure(subject, Trouble.WRONG_KEY)
    assert not error.transient
    assert error.vendor_message


async def test_quota(subject: Subject) -> None:
    """An account without money or quota is distinguished from other refusals."""
    assert isinstance(await failure(subject, Trouble.QUOTA), ProviderQuotaError)


async def test_rate_limit(subject: Subject) -> None:
    """Too many requests are distinguished from other refusals, with the wait if it is given."""
    error = await failure(subject, Trouble.RATE_LIMIT)
    assert isinstance(error, ProviderQuotaError)
    async with subject.server() as server:
        is_told_by_status = Trouble.RATE_LIMIT in getattr(server, "refusals", ())
    assert error.retry_after_s == (RETRY_AFTER_S if is_told_by_status else None)


async def test_unavailable(subject: Subject) -> None:
    """A vendor that is down may be asked again later."""
    error = await failure(subject, Trouble.UNAVAILABLE)
    assert error.transient
    assert not isinstance(error, ProviderQuotaError)


async def test_garbage(subject: Subject) -> None:
    """A known message of a wrong shape is a malformed answer, which may be right later."""
    error = await failure(subject, Trouble.GARBAGE)
    assert error.transient
    assert "malformed" in str(error)


async def test_cut(subject: Subject) -> None:
    """A connection that breaks in the middle of an answer fails it, for now."""
    assert (await failure(subject, Trouble.CUT)).transient


async def test_close(subject: Subject) -> None:
    """A vendor that gives up in the middle of an answer fails it, for now."""
    assert (await failure(subject, Trouble.CLOSE)).transient


async def test_early_end(subject: Subject) -> None:
    """An answer that ends in good order and too early is no answer."""
    assert (await failure(subject, Trouble.EARLY_END)).transient


async def test_silence(subject: Subject) -> None:
    """A vendor that answers pings and nothing else is late."""
    async with exchange(subject, SHORT) as (request, server):
        server.trouble = Trouble.SILENCE
        with pytest.raises(ProviderError, match="late") as caught:
            await request()
    assert caught.value.transient


async def test_unknown_messages(subject: Subject) -> None:
    """Messages and members that nobody has documented are ignored."""
    async with exchange(subject) as (request, server):
        server.trouble = Trouble.UNKNOWN
        await request()


async def test_idle_connection_closed(subject: Subject) -> None:
    """A connection that the vendor closed while idle is replaced without a failure."""
    async with exchange(subject) as (request, server):
        await request()
        await server.close_idle()
        await request()


async def test_idle_connection_lost(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that was lost while idle costs one request at most, and that soon."""
    monkeypatch.setattr(client, "ALIVE_S", 0.1)
    monkeypatch.setattr(client, "CLOSE_S", 0.1)
    async with exchange(subject) as (request, server):
        await request()
        server.lose_idle()
        with suppress(ProviderError):
            await request()
        await request()


async def test_nothing_open_afterwards(subject: Subject) -> None:
    """A provider that is closed leaves no connection behind."""
    async with subject.server() as server:
        async with subject.open(server) as provider:
            await ask(subject, provider, server)
        await until(lambda: server.connection_count == 0)


async def test_old_connection(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection serves no request at an age at which the vendor may end it in the middle."""
    async with exchange(subject) as (request, server):
        await request()
        monkeypatch.setattr(pool, "OLDEST_S", 0.0)
        await request()
        assert len(server.heads) == 2
