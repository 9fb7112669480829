"""What stops a process that only an operator can set right."""


class OperatorError(Exception):
    """A process cannot start or go on; the message tells operators why, without secrets."""
