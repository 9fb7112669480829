"""Limits that more than one process states."""

LONGEST_TASK_S = 86_400
"""The longest duration that the contracts have room for; a deployment allows less."""

LONGEST_REPORT_DAYS = 3_660
"""The longest time, in days, that one report on usage is about."""
