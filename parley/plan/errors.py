"""Why no plan can be made."""


class PlanError(Exception):
    """Something must be fixed before anything can start; the message says what."""
