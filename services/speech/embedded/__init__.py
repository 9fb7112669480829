"""Models that run within this process."""

import os

# Three of their libraries share out work by OpenMP, whose threads wait for each other by spinning
# for milliseconds: on a busy machine that costs several times the work itself. Each library reads
# this once, while it is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
