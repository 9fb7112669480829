"""The gateway's metrics."""

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Counter(
    "parley_http_requests_total",
    "Requests that were answered, by method, route and status.",
    ["method", "route", "status"],
)
REQUEST_SECONDS = Histogram(
    "parley_http_request_seconds",
    "How long requests took until the end of their answer, by route.",
    ["route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
)
PROBLEMS = Counter(
    "parley_http_problems_total", "Failures reported to clients, by reason.", ["reason"]
)
TURNS = Counter("parley_http_turns_total", "Turns that ended, by outcome.", ["outcome"])
INTERRUPTIONS = Counter("parley_http_interruptions_total", "Replies that were cut off.")
FIRST_SOUND_SECONDS = Histogram(
    "parley_http_first_sound_seconds",
    "From the end of the question until the digital human began to speak.",
    buckets=(0.25, 0.5, 0.75, 1, 1.5, 2, 2.5, 3, 4, 5, 7.5, 10, 20),
)
EVENT_STREAMS = Gauge("parley_http_event_streams", "Event streams that are open.")
SOCKETS = Gauge("parley_http_sockets", "WebSockets that are open.")
