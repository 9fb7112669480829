"""What the system refuses a process, such as a port that is taken."""


def reason_of(refusal: OSError | BaseExceptionGroup[OSError]) -> str:
    """Return what the system said: of a group, with its first error."""
    first: BaseException = refusal
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return str(first)
