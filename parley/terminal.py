"""What a terminal may be sent."""

from rich.markup import escape


def printable(name: str) -> str:
    """Return a client's name without what a terminal would obey: control characters and markup."""
    visible = (each if each.isprintable() else ascii(each)[1:-1] for each in name)
    return escape("".join(visible))
