"""What is said in tasks, and which replica may add to it."""

from datetime import timedelta

CLOSING_GRACE = timedelta(seconds=30)
"""How long after the end of a task the turns that were running may still be closed."""
