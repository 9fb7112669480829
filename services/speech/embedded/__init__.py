"""Models that run within this process."""

import os

# ONNX Runtime reports its use to its vendor unless this is set before it is first loaded; it would
# also leave an id of this machine in the user's cache.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

# Three of the libraries use libgomp, whose threads wait for each other by spinning, by default for
# so long that a busy machine spends several times the work itself on it. A third of that costs an
# idle machine a few per cent. Each library reads the setting once, when it is loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "100000")
