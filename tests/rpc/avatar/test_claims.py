"""Claims on avatars in a real PostgreSQL: the newest stands, as long as its replica lives."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from services.avatar.postgres.claims import PostgresClaims
from services.avatar.postgres.database import Database, DatabaseAwayError, opened
from services.avatar.postgres.replica import LIVES_S, OVERDUE_S, Replica
from tests.support.metrics import sample

AVATAR = "avatar-1"


class OneReplica:
    """A replica whose heart beats when the test says so; keeps who was asked to give way."""

    def __init__(self, database: Database, *, address: str) -> None:
        self.now = 0.0
        self.replica = Replica(database, address=address, clock=lambda: self.now)
        self.claims = PostgresClaims(database, self.replica, give_way=self._give_way)
        self.gave_way: list[tuple[str, str, UUID]] = []

    async def _give_way(self, address: str, avatar_id: str, claim_id: UUID) -> None:
        self.gave_way.append((address, avatar_id, claim_id))


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    async with opened(postgres_url, connections=1) as database:
        yield database


@pytest.fixture
async def one(database: Database) -> OneReplica:
    one = OneReplica(database, address="one:1")
    await one.replica.beat()
    return one


@pytest.fixture
async def other(database: Database, one: OneReplica) -> OneReplica:
    other = OneReplica(database, address="other:1")
    await other.replica.beat()
    return other


async def expire(database: Database, of: OneReplica) -> None:
    """Let a lifetime go by without a heartbeat of a replica."""
    await database.ask(
        "UPDATE avatar.replicas SET expires_at = expires_at - make_interval(secs => $2)"
        " WHERE replica_id = $1",
        of.replica.replica_id,
        LIVES_S,
    )


async def rows(database: Database, table: str) -> int:
    row = await database.ask(f"SELECT count(*) AS rows FROM avatar.{table}")
    assert row is not None
    return int(row["rows"])


async def test_the_newest_claim_stands_and_the_one_before_gives_way(
    one: OneReplica, other: OneReplica
) -> None:
    older = one.claims.new(AVATAR)
    await older.take()
    assert await older.stands()
    newer = other.claims.new(AVATAR)
    await newer.take()
    assert not await older.stands()
    assert await newer.stands()
    assert other.gave_way == [("one:1", AVATAR, older.claim_id)]
    assert one.gave_way == []


async def test_a_replica_does_not_ask_itself_to_give_way(one: OneReplica) -> None:
    for _ in range(2):
        await one.claims.new(AVATAR).take()
    assert one.gave_way == []
    assert await one.claims.holder(AVATAR) is None


async def test_the_other_replica_finds_the_holder(one: OneReplica, other: OneReplica) -> None:
    assert await other.claims.holder(AVATAR) is None
    await one.claims.new(AVATAR).take()
    assert await other.claims.holder(AVATAR) == "one:1"
    await one.replica.leave()
    assert await other.claims.holder(AVATAR) is None


async def test_what_a_dead_replica_had_is_free_and_its_rows_go(
    one: OneReplica, other: OneReplica, database: Database
) -> None:
    await one.claims.new(AVATAR).take()
    await other.claims.new("avatar-2").take()
    await expire(database, one)
    assert await other.claims.holder(AVATAR) is None
    await other.claims.new(AVATAR).take()
    assert other.gave_way == []

    await one.claims.new("avatar-3").take()
    await other.replica.sweep()
    assert await rows(database, "replicas") == 1
    assert await rows(database, "drives") == 2


async def test_a_process_in_the_place_of_another_is_not_the_other(database: Database) -> None:
    before = OneReplica(database, address="one:1")
    await before.replica.beat()
    await before.claims.new(AVATAR).take()
    after = OneReplica(database, address="one:1")
    await after.replica.beat()
    assert after.replica.count == 1
    assert await after.claims.holder(AVATAR) is None


async def test_replicas_are_counted_as_long_as_they_live(
    one: OneReplica, other: OneReplica, database: Database
) -> None:
    await one.replica.beat()
    assert (one.replica.count, other.replica.count) == (2, 2)
    assert sample("parley_avatar_replicas") == 2
    await expire(database, other)
    await one.replica.beat()
    assert one.replica.count == 1


async def test_a_claim_is_in_doubt_from_an_overdue_heartbeat_until_it_is_asked_for(
    one: OneReplica, other: OneReplica
) -> None:
    claim = one.claims.new(AVATAR)
    await claim.take()
    assert not claim.is_doubtful
    one.now += OVERDUE_S + 0.1
    assert claim.is_doubtful
    await one.replica.beat()
    assert claim.is_doubtful
    assert await claim.stands()
    assert not claim.is_doubtful
    assert not one.claims.new("avatar-2").is_doubtful


async def test_while_the_database_is_away_claims_stand() -> None:
    async with opened("postgresql://nobody@127.0.0.1:1/none", connections=1) as database:
        alone = OneReplica(database, address="one:1")
        claim = alone.claims.new(AVATAR)
        await claim.take()
        assert claim.is_doubtful
        assert await claim.stands()
        assert await alone.claims.holder(AVATAR) is None
        with pytest.raises(DatabaseAwayError):
            await alone.replica.beat()
        assert sample("parley_avatar_replicas") == 0
