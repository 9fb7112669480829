"""Models that run within this process."""

import os

# ONNX Runtime reports its use to its maker unless this is set before it is loaded for the first
# time; it would also leave an id of this machine in the user's cache.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

# Three of their libraries share out work by libgomp, whose threads wait for each other by spinning,
# by default so long that a busy machine spends several times the work itself on it. A third of that
# costs an idle machine a few per cent. Each library reads it once, while it is loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "100000")
