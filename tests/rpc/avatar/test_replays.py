"""Signatures of callbacks are remembered for all replicas, also while their database is away."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.avatar.postgres.database import opened
from services.avatar.postgres.replays import SharedSignatures
from services.avatar.vendor.replays import stored_signatures
from tests.support.postgres import own_server


@asynccontextmanager
async def remembering(url: str) -> AsyncIterator[SharedSignatures]:
    """A replica that has just been started."""
    with stored_signatures(None) as alone:
        async with opened(url, connections=2) as database:
            yield SharedSignatures(database, alone=alone)


async def test_what_one_replica_has_seen_is_known_to_all_and_after_a_restart(
    postgres_url: str,
) -> None:
    for body in (b"first", b"another"):
        # Each time with a memory of its own, as after a restart.
        async with remembering(postgres_url) as seen:
            assert await seen.first_digest("a", body, now=1000.0, kept_s=60) == b"first"
            assert await seen.first_digest(str(body), body, now=1000.0, kept_s=60) == body


async def test_what_is_stale_is_forgotten(postgres_url: str) -> None:
    async with remembering(postgres_url) as seen, opened(postgres_url, connections=1) as database:
        for at, name in ((2000.0, "old"), (2050.0, "young"), (2070.0, "new")):
            await seen.first_digest(name, b"body", now=at, kept_s=60)
        row = await database.ask(
            "SELECT array_agg(signature ORDER BY signature) AS kept FROM avatar.callbacks"
            " WHERE signature IN ('old', 'young', 'new')"
        )
        assert row is not None
        assert row["kept"] == ["new", "young"]


async def test_while_the_database_is_away_each_replica_remembers_for_itself() -> None:
    nowhere = "postgresql://nobody@127.0.0.1:1/none"
    async with remembering(nowhere) as seen:
        for body in (b"first", b"another"):
            assert await seen.first_digest("a", body, now=1.0, kept_s=60) == b"first"


async def test_a_crash_of_the_database_forgets_none() -> None:
    with own_server(["autovacuum=off"]) as server:
        for body in (b"first", b"another"):
            async with remembering(server.server.url) as seen:
                assert await seen.first_digest("a", body, now=1.0, kept_s=60) == b"first"
            server.stop("immediate")
            server.start()
