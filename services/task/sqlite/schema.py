"""The journal's schema in SQLite, as the migrations that lead to it."""

import sqlite3
from collections.abc import Sequence

from services.task.journal.migrations import Migration, SchemaVersion, oldest_program, pending

# Times are microseconds since 1970 in UTC, durations are microseconds.
_FIRST = """
    CREATE TABLE tasks (
        task_id TEXT PRIMARY KEY,
        state TEXT NOT NULL,
        room_id TEXT NOT NULL,
        stream_id TEXT NOT NULL,
        digital_human_id TEXT NOT NULL,
        persona_id TEXT NOT NULL,
        language_code TEXT NOT NULL,
        user_id TEXT NOT NULL,
        background_color TEXT NOT NULL,
        avatar_id TEXT NOT NULL,
        max_duration INTEGER NOT NULL,
        max_idle_duration INTEGER NOT NULL,
        create_time INTEGER NOT NULL,
        accept_time INTEGER,
        start_time INTEGER,
        stop_time INTEGER,
        stop_reason TEXT,
        failure_reason TEXT,
        failure_message TEXT
    ) WITHOUT ROWID;
    CREATE INDEX tasks_by_state ON tasks (state);
    CREATE INDEX tasks_by_user ON tasks (user_id, task_id);
    CREATE INDEX tasks_by_avatar ON tasks (avatar_id) WHERE avatar_id <> '';
    CREATE INDEX tasks_by_stream ON tasks (stream_id, create_time);
    CREATE UNIQUE INDEX live_streams ON tasks (stream_id)
        WHERE state NOT IN ('STOPPED', 'FAILED');

    CREATE TABLE events (
        task_id TEXT NOT NULL REFERENCES tasks,
        sequence INTEGER NOT NULL,
        time INTEGER NOT NULL,
        conversation_sequence INTEGER,
        content BLOB NOT NULL,
        PRIMARY KEY (task_id, sequence)
    ) WITHOUT ROWID;
    CREATE UNIQUE INDEX conversation_events ON events (task_id, conversation_sequence)
        WHERE conversation_sequence IS NOT NULL;

    CREATE TABLE turns (
        task_id TEXT NOT NULL REFERENCES tasks,
        turn_id INTEGER NOT NULL,
        origin INTEGER NOT NULL DEFAULT 0,
        user_text TEXT NOT NULL DEFAULT '',
        reply_text TEXT NOT NULL DEFAULT '',
        heard_text TEXT NOT NULL DEFAULT '',
        is_interrupted INTEGER NOT NULL DEFAULT 0,
        language_code TEXT NOT NULL DEFAULT '',
        start_time INTEGER NOT NULL,
        finish_time INTEGER,
        failure BLOB NOT NULL DEFAULT x'',
        ledger BLOB NOT NULL DEFAULT x'',
        latency BLOB NOT NULL DEFAULT x'',
        PRIMARY KEY (task_id, turn_id)
    ) WITHOUT ROWID;

    CREATE TABLE requests (
        request_id TEXT PRIMARY KEY,
        digest BLOB NOT NULL,
        task_id TEXT NOT NULL REFERENCES tasks,
        time INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX requests_by_task ON requests (task_id);
    CREATE INDEX requests_by_time ON requests (time);
"""

MIGRATIONS: tuple[Migration, ...] = (
    Migration(script=_FIRST),
    # The conversation event that closed the turn: it has the ledger's segments.
    Migration(script="ALTER TABLE turns ADD COLUMN closed_by INTEGER;"),
    # One row: the timeline of the times that the last process wrote.
    Migration(
        script="CREATE TABLE timeline (boot_id TEXT NOT NULL, clock_offset INTEGER NOT NULL);"
    ),
    Migration(script="ALTER TABLE tasks ADD COLUMN claim_by INTEGER;"),
    # What sweeps and quotas count, however many tasks are over.
    Migration(
        script="""
        CREATE INDEX live_tasks ON tasks (user_id, task_id)
            WHERE state IN ('CREATING', 'STARTING', 'STOPPING', 'STREAMING');
        """,
        is_additive=True,
    ),
    # Who takes the steps of a task, who holds its conversation, and which replicas are alive.
    Migration(
        script="""
        ALTER TABLE tasks ADD COLUMN lease_owner TEXT NOT NULL DEFAULT '';
        ALTER TABLE tasks ADD COLUMN fence INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE tasks ADD COLUMN is_due INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE tasks ADD COLUMN conversation_owner TEXT NOT NULL DEFAULT '';
        ALTER TABLE tasks ADD COLUMN conversation_epoch INTEGER NOT NULL DEFAULT 0;
        CREATE INDEX due_tasks ON tasks (task_id) WHERE is_due = 1;
        CREATE TABLE replicas (
            replica_id TEXT PRIMARY KEY,
            address TEXT NOT NULL,
            expires_at INTEGER NOT NULL
        );
        CREATE TABLE duties (duty TEXT PRIMARY KEY, owner TEXT NOT NULL);
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
        ALTER TABLE tasks ADD COLUMN budget INTEGER;
        ALTER TABLE tasks ADD COLUMN max_absence INTEGER;
        ALTER TABLE tasks ADD COLUMN seen_time INTEGER;
        ALTER TABLE tasks ADD COLUMN erased_events INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE tasks ADD COLUMN erased_conversation_events INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE tasks ADD COLUMN erased_turns INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE tasks ADD COLUMN is_erased INTEGER NOT NULL DEFAULT 0;
        CREATE INDEX tasks_by_time ON tasks (create_time, task_id);
        CREATE INDEX tasks_by_user_time ON tasks (user_id, create_time, task_id);
        CREATE INDEX unerased_tasks ON tasks (stop_time) WHERE is_erased = 0;
        CREATE INDEX erased_tasks ON tasks (stop_time) WHERE is_erased = 1;
        CREATE TABLE usage_days (
            user_id TEXT NOT NULL,
            day INTEGER NOT NULL,
            tasks INTEGER NOT NULL,
            turns INTEGER NOT NULL,
            billable_seconds INTEGER NOT NULL,
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
            day INTEGER NOT NULL,
            currency TEXT NOT NULL,
            input_tokens INTEGER NOT NULL,
            cached_tokens INTEGER NOT NULL,
            output_tokens INTEGER NOT NULL,
            estimated_tokens INTEGER NOT NULL,
            characters INTEGER NOT NULL,
            recognized_ms INTEGER NOT NULL,
            cost_micros INTEGER NOT NULL,
            PRIMARY KEY (task_id, day, user_id, currency)
        );
        CREATE INDEX provider_usage_by_day ON provider_usage (day, user_id);
        """,
        is_additive=True,
    ),
    # What is known of a call, apart from its task, which is copied into events.
    Migration(
        script="CREATE TABLE call_facts (task_id TEXT PRIMARY KEY, facts BLOB NOT NULL);",
        is_additive=True,
    ),
    # Who may call: secrets are kept as SHA-256.
    Migration(
        script="""
        CREATE TABLE api_keys (
            key_id TEXT PRIMARY KEY,
            digest BLOB NOT NULL UNIQUE,
            tenant_id TEXT NOT NULL,
            user_id TEXT NOT NULL,
            name TEXT NOT NULL,
            role TEXT NOT NULL,
            create_time INTEGER NOT NULL,
            expire_time INTEGER,
            revoke_time INTEGER
        );
        CREATE INDEX api_keys_by_tenant ON api_keys (tenant_id, key_id);
        CREATE TABLE tickets (
            ticket_id TEXT PRIMARY KEY,
            digest BLOB NOT NULL UNIQUE,
            tenant_id TEXT NOT NULL,
            user_id TEXT NOT NULL,
            task_id TEXT NOT NULL,
            is_single_use INTEGER NOT NULL,
            expire_time INTEGER NOT NULL,
            use_time INTEGER
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
            day INTEGER NOT NULL,
            tasks INTEGER NOT NULL,
            turns INTEGER NOT NULL,
            billable_seconds INTEGER NOT NULL,
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
            create_time INTEGER NOT NULL
        );
        CREATE INDEX webhooks_by_tenant ON webhooks (tenant_id, create_time);
        CREATE TABLE webhook_keys (
            key_id TEXT PRIMARY KEY,
            webhook_id TEXT NOT NULL,
            secret BLOB NOT NULL,
            create_time INTEGER NOT NULL,
            expire_time INTEGER
        );
        CREATE INDEX keys_by_webhook ON webhook_keys (webhook_id, create_time);
        CREATE INDEX expiring_keys ON webhook_keys (expire_time) WHERE expire_time IS NOT NULL;
        CREATE TABLE webhook_deliveries (
            webhook_id TEXT NOT NULL,
            event_id TEXT NOT NULL,
            event_type TEXT NOT NULL,
            lane TEXT NOT NULL,
            task_id TEXT NOT NULL,
            sequence INTEGER NOT NULL,
            content BLOB NOT NULL,
            time INTEGER NOT NULL,
            is_dead INTEGER NOT NULL DEFAULT 0,
            attempts INTEGER NOT NULL DEFAULT 0,
            next_time INTEGER NOT NULL,
            give_up_time INTEGER NOT NULL,
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
            renew_time INTEGER NOT NULL,
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
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            tenant_id TEXT NOT NULL,
            time INTEGER NOT NULL,
            actor TEXT NOT NULL,
            user_id TEXT NOT NULL,
            action TEXT NOT NULL,
            subject TEXT NOT NULL,
            request_id TEXT NOT NULL
        );
        CREATE INDEX audit_by_tenant ON audit (tenant_id, number);
        CREATE INDEX audit_by_time ON audit (time);
        CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
            BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
        """,
        is_additive=True,
    ),
)


def migrate(connection: sqlite3.Connection, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Take the steps that the database lacks, each in a transaction. Raises DatabaseError."""
    connection.execute(
        "CREATE TABLE IF NOT EXISTS migrations (version INTEGER PRIMARY KEY, time INTEGER NOT NULL,"
        " oldest_program INTEGER NOT NULL DEFAULT 0)"
    )
    columns = {row[1] for row in connection.execute("PRAGMA table_info (migrations)")}
    if "oldest_program" not in columns:
        # Releases until 0.1 kept no such column, and open no database with steps they do not know.
        connection.execute(
            "ALTER TABLE migrations ADD COLUMN oldest_program INTEGER NOT NULL DEFAULT 0"
        )
    version, oldest = connection.execute(
        "SELECT coalesce(max(version), 0), coalesce(max(oldest_program), 0) FROM migrations"
    ).fetchone()
    at = SchemaVersion(version=version, oldest_program=oldest)
    for number, step in pending(migrations, at):
        connection.executescript(
            f"BEGIN IMMEDIATE; {step.script}"
            "INSERT INTO migrations (version, time, oldest_program) VALUES"
            f" ({number}, unixepoch() * 1000000, {oldest_program(number, step)}); COMMIT;"
        )
