"""The metrics of tasks."""

from prometheus_client import Counter

TASK_MOVES = Counter("parley_task_moves_total", "Tasks that came to a state, by state.", ["state"])
