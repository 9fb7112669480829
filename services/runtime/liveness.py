"""How both ends of a connection between services detect that the other is gone.

A link that drops everything looks like a peer with nothing to say. So each end pings the other
periodically, and a peer that does not answer within `FOUND_DEAD_S` in total counts as dead: its
calls end with UNAVAILABLE.
"""

ASKED_EVERY_S = 3.0
ANSWERED_WITHIN_S = 5.0
"""On a slow link the ping queues behind the audio in transit."""

FOUND_DEAD_S = ASKED_EVERY_S + ANSWERED_WITHIN_S

_ASKING = (
    ("grpc.keepalive_time_ms", int(ASKED_EVERY_S * 1000)),
    ("grpc.keepalive_timeout_ms", int(ANSWERED_WITHIN_S * 1000)),
    # A minute by default, regardless of the keep-alive timeout.
    ("grpc.http2.ping_timeout_ms", int(ANSWERED_WITHIN_S * 1000)),
    # Idle links are checked, too, so that it is not the next call that finds out.
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
)

CHANNEL_OPTIONS = (
    *_ASKING,
    # How long connecting may take: the peer may be gone before it responds.
    ("grpc.min_reconnect_backoff_ms", int(ANSWERED_WITHIN_S * 1000)),
)

SERVER_OPTIONS = (
    *_ASKING,
    # By default a server treats such pings as abuse.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", int(ASKED_EVERY_S * 1000 / 2)),
    ("grpc.http2.max_ping_strikes", 0),
)
