"""How both ends of a connection between services find out that the other one is gone.

A link that swallows everything looks like a peer with nothing to say. So each end asks now and
then, and a peer that does not answer within `FOUND_DEAD_S` in all is gone: its calls end,
UNAVAILABLE.
"""

ASKED_EVERY_S = 3.0
ANSWERED_WITHIN_S = 5.0
"""On a slow link the question stands behind the audio that is on its way."""

FOUND_DEAD_S = ASKED_EVERY_S + ANSWERED_WITHIN_S

_ASKING = (
    ("grpc.keepalive_time_ms", int(ASKED_EVERY_S * 1000)),
    ("grpc.keepalive_timeout_ms", int(ANSWERED_WITHIN_S * 1000)),
    # A minute by default, whatever the time-out of keep-alives is.
    ("grpc.http2.ping_timeout_ms", int(ANSWERED_WITHIN_S * 1000)),
    # A link that nobody uses is asked as well, so that the next call is not what finds out.
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
)

CHANNEL_OPTIONS = (
    *_ASKING,
    # How long a connection may take to be made: its peer may be gone before it says a word.
    ("grpc.min_reconnect_backoff_ms", int(ANSWERED_WITHIN_S * 1000)),
)

SERVER_OPTIONS = (
    *_ASKING,
    # By default a server takes such questions for abuse.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", int(ASKED_EVERY_S * 1000 / 2)),
    ("grpc.http2.max_ping_strikes", 0),
)
