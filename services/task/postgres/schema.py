"""The journal's schema in PostgreSQL, as the migrations that lead to it."""

from collections.abc import Sequence

import asyncpg

from services.task.journal.migrations import Migration, SchemaVersion, oldest_program, pending

MIGRATIONS: tuple[Migration, ...] = (
    # Times are microseconds since 1970 in UTC, durations are microseconds. Task ids compare by
    # their bytes, whatever the locale of the database. No table refers to another: whoever writes
    # about a task has locked its row, and tables may be partitioned or distributed by task_id.
    Migration(
        script="""
        CREATE TABLE tasks (
            task_id TEXT COLLATE "C" PRIMARY KEY,
            state TEXT NOT NULL,
            room_id TEXT NOT NULL,
            stream_id TEXT NOT NULL,
            digital_human_id TEXT NOT NULL,
            persona_id TEXT NOT NULL,
            language_code TEXT NOT NULL,
            user_id TEXT NOT NULL,
            background_color TEXT NOT NULL,
            avatar_id TEXT NOT NULL,
            max_duration BIGINT NOT NULL,
            max_idle_duration BIGINT NOT NULL,
            create_time BIGINT NOT NULL,
            accept_time BIGINT,
            start_time BIGINT,
            stop_time BIGINT,
            stop_reason TEXT,
            failure_reason TEXT,
            failure_message TEXT,
            claim_by BIGINT
        );
        CREATE INDEX tasks_by_state ON tasks (state, task_id);
        CREATE INDEX tasks_by_user ON tasks (user_id, task_id);
        CREATE INDEX tasks_by_avatar ON tasks (avatar_id, task_id) WHERE avatar_id <> '';
        CREATE INDEX tasks_by_stream ON tasks (stream_id, create_time);
        CREATE INDEX live_tasks ON tasks (user_id)
            WHERE state IN ('CREATING', 'STARTING', 'STOPPING', 'STREAMING');
        CREATE UNIQUE INDEX live_streams ON tasks (stream_id)
            WHERE state IN ('CREATING', 'STARTING', 'STOPPING', 'STREAMING');

        CREATE TABLE events (
            task_id TEXT COLLATE "C" NOT NULL,
            sequence BIGINT NOT NULL,
            time BIGINT NOT NULL,
            conversation_sequence BIGINT,
            content BYTEA NOT NULL,
            PRIMARY KEY (task_id, sequence)
        );
        CREATE UNIQUE INDEX conversation_events ON events (task_id, conversation_sequence)
            WHERE conversation_sequence IS NOT NULL;

        CREATE TABLE turns (
            task_id TEXT COLLATE "C" NOT NULL,
            turn_id BIGINT NOT NULL,
            origin INTEGER NOT NULL DEFAULT 0,
            user_text TEXT NOT NULL DEFAULT '',
            reply_text TEXT NOT NULL DEFAULT '',
            heard_text TEXT NOT NULL DEFAULT '',
            is_interrupted BOOLEAN NOT NULL DEFAULT FALSE,
            language_code TEXT NOT NULL DEFAULT '',
            start_time BIGINT NOT NULL,
            finish_time BIGINT,
            failure BYTEA NOT NULL DEFAULT '',
            ledger BYTEA NOT NULL DEFAULT '',
            latency BYTEA NOT NULL DEFAULT '',
            closed_by BIGINT,
            PRIMARY KEY (task_id, turn_id)
        );

        CREATE TABLE requests (
            request_id TEXT COLLATE "C" PRIMARY KEY,
            digest BYTEA NOT NULL,
            task_id TEXT COLLATE "C" NOT NULL,
            time BIGINT NOT NULL
        );
        CREATE INDEX requests_by_task ON requests (task_id);
        CREATE INDEX requests_by_time ON requests (time);
        """
    ),
    # Who takes the steps of a task, who holds its conversation, and which replicas are alive: by
    # the clock of the database, as those of the replicas need not agree.
    Migration(
        script="""
        ALTER TABLE tasks ADD COLUMN lease_owner TEXT NOT NULL DEFAULT '';
        ALTER TABLE tasks ADD COLUMN fence BIGINT NOT NULL DEFAULT 0;
        ALTER TABLE tasks ADD COLUMN is_due INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE tasks ADD COLUMN conversation_owner TEXT NOT NULL DEFAULT '';
        ALTER TABLE tasks ADD COLUMN conversation_epoch BIGINT NOT NULL DEFAULT 0;
        CREATE INDEX due_tasks ON tasks (task_id) WHERE is_due = 1;
        CREATE TABLE replicas (
            replica_id TEXT PRIMARY KEY,
            address TEXT NOT NULL,
            expires_at BIGINT NOT NULL
        );
        CREATE TABLE duties (duty TEXT PRIMARY KEY, owner TEXT NOT NULL);
        CREATE FUNCTION now_micros() RETURNS BIGINT LANGUAGE SQL VOLATILE
            AS 'SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT';
        """,
        is_additive=True,
    ),
    # Turns that nobody has closed: few, as most of them run.
    Migration(
        script="CREATE INDEX open_turns ON turns (task_id) WHERE finish_time IS NULL;",
        is_additive=True,
    ),
    # What a task may cost, how long its client may be gone, and how much of what was said has been
    # removed. `usage_days` has what removed tasks cost, by days since 1970.
    Migration(
        script="""
        ALTER TABLE tasks ADD COLUMN budget BIGINT;
        ALTER TABLE tasks ADD COLUMN max_absence BIGINT;
        ALTER TABLE tasks ADD COLUMN seen_time BIGINT;
        ALTER TABLE tasks ADD COLUMN erased_events BIGINT NOT NULL DEFAULT 0;
        ALTER TABLE tasks ADD COLUMN erased_conversation_events BIGINT NOT NULL DEFAULT 0;
        ALTER TABLE tasks ADD COLUMN erased_turns BIGINT NOT NULL DEFAULT 0;
        ALTER TABLE tasks ADD COLUMN is_erased INTEGER NOT NULL DEFAULT 0;
        CREATE INDEX tasks_by_time ON tasks (create_time, task_id);
        CREATE INDEX tasks_by_user_time ON tasks (user_id, create_time, task_id);
        CREATE INDEX unerased_tasks ON tasks (stop_time) WHERE is_erased = 0;
        CREATE INDEX erased_tasks ON tasks (stop_time) WHERE is_erased = 1;
        CREATE TABLE usage_days (
            user_id TEXT NOT NULL,
            day BIGINT NOT NULL,
            tasks BIGINT NOT NULL,
            turns BIGINT NOT NULL,
            billable_seconds BIGINT NOT NULL,
            PRIMARY KEY (user_id, day)
        );
        CREATE INDEX usage_by_day ON usage_days (day, user_id);
        """,
        is_additive=True,
    ),
    # What providers were used for, by tasks and currencies; of removed tasks by users and days,
    # with an empty task_id.
    Migration(
        script="""
        CREATE TABLE provider_usage (
            task_id TEXT NOT NULL,
            user_id TEXT NOT NULL,
            day BIGINT NOT NULL,
            currency TEXT NOT NULL,
            input_tokens BIGINT NOT NULL,
            cached_tokens BIGINT NOT NULL,
            output_tokens BIGINT NOT NULL,
            estimated_tokens BIGINT NOT NULL,
            characters BIGINT NOT NULL,
            recognized_ms BIGINT NOT NULL,
            cost_micros BIGINT NOT NULL,
            PRIMARY KEY (task_id, day, user_id, currency)
        );
        CREATE INDEX provider_usage_by_day ON provider_usage (day, user_id);
        """,
        is_additive=True,
    ),
    # What is known of a call, apart from its task, which is copied into events.
    Migration(
        script="CREATE TABLE call_facts (task_id TEXT PRIMARY KEY, facts BYTEA NOT NULL);",
        is_additive=True,
    ),
    # Who may call: secrets are kept as SHA-256.
    Migration(
        script="""
        CREATE TABLE api_keys (
            key_id TEXT COLLATE "C" PRIMARY KEY,
            digest BYTEA NOT NULL UNIQUE,
            tenant_id TEXT COLLATE "C" NOT NULL,
            user_id TEXT NOT NULL,
            name TEXT NOT NULL,
            role TEXT NOT NULL,
            create_time BIGINT NOT NULL,
            expire_time BIGINT,
            revoke_time BIGINT
        );
        CREATE INDEX api_keys_by_tenant ON api_keys (tenant_id, key_id);
        CREATE TABLE tickets (
            ticket_id TEXT COLLATE "C" PRIMARY KEY,
            digest BYTEA NOT NULL UNIQUE,
            tenant_id TEXT COLLATE "C" NOT NULL,
            user_id TEXT NOT NULL,
            task_id TEXT NOT NULL,
            is_single_use INTEGER NOT NULL,
            expire_time BIGINT NOT NULL,
            use_time BIGINT
        );
        CREATE INDEX tickets_by_time ON tickets (expire_time);
        """,
        is_additive=True,
    ),
    # Whose everything is: what there was belongs to the default tenant, as does what older programs
    # add. Its removed tasks go on to be kept in `usage_days`, those of other tenants beside it.
    Migration(
        script="""
        ALTER TABLE tasks ADD COLUMN tenant_id TEXT NOT NULL DEFAULT 'default';
        ALTER TABLE provider_usage ADD COLUMN tenant_id TEXT NOT NULL DEFAULT 'default';
        ALTER TABLE usage_days ADD COLUMN tenant_id TEXT NOT NULL DEFAULT 'default';
        CREATE INDEX tasks_by_tenant ON tasks (tenant_id, task_id);
        CREATE INDEX tasks_by_tenant_state ON tasks (tenant_id, state, task_id);
        CREATE INDEX tasks_by_tenant_user ON tasks (tenant_id, user_id, task_id);
        CREATE INDEX tasks_by_tenant_time ON tasks (tenant_id, create_time, task_id);
        CREATE INDEX tasks_by_tenant_user_time
            ON tasks (tenant_id, user_id, create_time, task_id);
        CREATE INDEX provider_usage_by_tenant ON provider_usage (tenant_id, day, user_id);
        CREATE TABLE tenant_usage_days (
            tenant_id TEXT NOT NULL,
            user_id TEXT NOT NULL,
            day BIGINT NOT NULL,
            tasks BIGINT NOT NULL,
            turns BIGINT NOT NULL,
            billable_seconds BIGINT NOT NULL,
            PRIMARY KEY (tenant_id, user_id, day)
        );
        CREATE INDEX tenant_usage_by_day ON tenant_usage_days (tenant_id, day, user_id);
        """,
        is_additive=True,
    ),
    # Who is told of what happens, what each is still to be told, and what it never was.
    # What was said is not copied: `sequence` leads to it in `events`, where it can be erased.
    Migration(
        script="""
        CREATE TABLE webhooks (
            webhook_id TEXT PRIMARY KEY,
            tenant_id TEXT NOT NULL,
            url TEXT NOT NULL,
            description TEXT NOT NULL,
            event_types TEXT NOT NULL,
            create_time BIGINT NOT NULL
        );
        CREATE INDEX webhooks_by_tenant ON webhooks (tenant_id, create_time);
        CREATE TABLE webhook_keys (
            key_id TEXT PRIMARY KEY,
            webhook_id TEXT NOT NULL,
            secret BYTEA NOT NULL,
            create_time BIGINT NOT NULL,
            expire_time BIGINT
        );
        CREATE INDEX keys_by_webhook ON webhook_keys (webhook_id, create_time);
        CREATE INDEX expiring_keys ON webhook_keys (expire_time) WHERE expire_time IS NOT NULL;
        CREATE TABLE webhook_deliveries (
            webhook_id TEXT NOT NULL,
            event_id TEXT NOT NULL,
            event_type TEXT NOT NULL,
            lane TEXT NOT NULL,
            task_id TEXT NOT NULL,
            sequence BIGINT NOT NULL,
            content BYTEA NOT NULL,
            time BIGINT NOT NULL,
            is_dead INTEGER NOT NULL DEFAULT 0,
            attempts BIGINT NOT NULL DEFAULT 0,
            next_time BIGINT NOT NULL,
            give_up_time BIGINT NOT NULL,
            owner TEXT NOT NULL DEFAULT '',
            failure TEXT NOT NULL DEFAULT '',
            PRIMARY KEY (webhook_id, event_id)
        );
        CREATE INDEX due_deliveries ON webhook_deliveries (webhook_id, next_time)
            WHERE is_dead = 0;
        CREATE INDEX delivery_lanes ON webhook_deliveries (webhook_id, lane, sequence, event_id)
            WHERE is_dead = 0;
        CREATE INDEX dead_letters ON webhook_deliveries (webhook_id, time, event_id)
            WHERE is_dead = 1;
        CREATE INDEX old_deliveries ON webhook_deliveries (give_up_time);
        CREATE INDEX deliveries_by_task ON webhook_deliveries (task_id);
        CREATE TABLE quota_warnings (
            tenant_id TEXT NOT NULL,
            kind TEXT NOT NULL,
            user_id TEXT NOT NULL,
            renew_time BIGINT NOT NULL,
            PRIMARY KEY (tenant_id, kind, user_id, renew_time)
        );
        CREATE INDEX old_quota_warnings ON quota_warnings (renew_time);
        """,
        is_additive=True,
    ),
    # Who did what: nothing is changed in it, and only what is too old is removed.
    Migration(
        script="""
        CREATE TABLE audit (
            number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            tenant_id TEXT NOT NULL,
            time BIGINT NOT NULL,
            actor TEXT NOT NULL,
            user_id TEXT NOT NULL,
            action TEXT NOT NULL,
            subject TEXT NOT NULL,
            request_id TEXT NOT NULL
        );
        CREATE INDEX audit_by_tenant ON audit (tenant_id, number);
        CREATE INDEX audit_by_time ON audit (time);
        CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS
            $$BEGIN RAISE EXCEPTION 'the audit log is append-only'; END$$;
        CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
            FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
        """,
        is_additive=True,
    ),
)


async def migrate(
    connection: "asyncpg.Connection[asyncpg.Record]",
    migrations: Sequence[Migration] = MIGRATIONS,
) -> int:
    """Take the steps that the database lacks, all or none; return how many there were.

    Processes that start together take turns. Raises DatabaseError.
    """
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('migrations', 0))")
        at = await _version(connection)
        steps = pending(migrations, at)
        for number, step in steps:
            await connection.execute(step.script)
            await connection.execute(
                "INSERT INTO migrations (version, time, oldest_program)"
                f" VALUES ({number}, extract(epoch FROM now()) * 1000000,"
                f" {oldest_program(number, step)})"
            )
        return len(steps)


async def _version(connection: "asyncpg.Connection[asyncpg.Record]") -> SchemaVersion:
    # Looked for first: a role that may not create tables can serve a database that is migrated.
    if not await connection.fetchval("SELECT to_regclass('migrations') IS NOT NULL"):
        await connection.execute(
            "CREATE TABLE migrations (version INTEGER PRIMARY KEY, time BIGINT NOT NULL,"
            " oldest_program INTEGER NOT NULL)"
        )
    row = await connection.fetchrow(
        "SELECT coalesce(max(version), 0) AS version,"
        " coalesce(max(oldest_program), 0) AS oldest_program FROM migrations"
    )
    assert row is not None
    return SchemaVersion(version=row["version"], oldest_program=row["oldest_program"])
