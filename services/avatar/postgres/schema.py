"""What the replicas share, as the migrations that lead to it; a released one never changes.

Each only adds, so that replicas of the release before continue beside newer ones. Most tables are
unlogged: they hold what is true for seconds, a commit need not wait for a disk, and after a crash
of the database the replicas fill them again.
"""

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE UNLOGGED TABLE avatar.replicas (
        replica_id uuid PRIMARY KEY,
        address text NOT NULL,
        expires_at timestamptz NOT NULL
    );

    -- The last drive of each avatar: who has the avatar, and from whom it was taken.
    CREATE UNLOGGED TABLE avatar.drives (
        avatar_id text PRIMARY KEY,
        claim_id uuid NOT NULL,
        replica_id uuid NOT NULL,
        previous_claim_id uuid,
        previous_replica_id uuid,
        taken_at timestamptz NOT NULL DEFAULT clock_timestamp()
    );

    -- The last turns of each action of the cloud, in Unix seconds, oldest first.
    CREATE UNLOGGED TABLE avatar.allowances (
        action text PRIMARY KEY,
        turns double precision[] NOT NULL DEFAULT '{}',
        held_until double precision NOT NULL DEFAULT '-infinity'
    );

    CREATE FUNCTION avatar.take_turn(
        wanted text, calls integer, window_s double precision, within_s double precision
    ) RETURNS TABLE (turn double precision, wait_s double precision, is_granted boolean)
    LANGUAGE plpgsql AS $$
    DECLARE
        allowance avatar.allowances;
        now_s double precision;
    BEGIN
        INSERT INTO avatar.allowances (action) VALUES (wanted) ON CONFLICT DO NOTHING;
        SELECT * INTO allowance FROM avatar.allowances WHERE action = wanted FOR UPDATE;
        -- Only now: the lock may have been waited for.
        now_s := extract(epoch FROM clock_timestamp());
        turn := greatest(
            now_s,
            allowance.held_until,
            allowance.turns[cardinality(allowance.turns) - calls + 1] + window_s
        );
        wait_s := turn - now_s;
        is_granted := wait_s = 0 OR wait_s <= within_s;
        IF is_granted THEN
            UPDATE avatar.allowances
            SET turns = (turns || turn)[greatest(1, cardinality(turns) - calls + 2):]
            WHERE action = wanted;
        END IF;
        RETURN NEXT;
    END
    $$;
    """,
    """
    -- With which body each signature of a callback came first. It is logged: what a crash of the
    -- database forgot could be replayed.
    CREATE TABLE avatar.callbacks (
        signature text PRIMARY KEY,
        digest bytea NOT NULL,
        kept_until double precision NOT NULL
    );
    CREATE INDEX callbacks_by_time ON avatar.callbacks (kept_until);
    """,
)
