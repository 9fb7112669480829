"""Writes docs/vendors.md, the table of what is tested of each vendor."""

from pathlib import Path

from tests.conformance.table import table

PAGE = Path(__file__).resolve().parent.parent / "docs" / "vendors.md"

_HEAD = """\
# What is tested of each vendor

Each row is a test of `tests/conformance`: ✓ is one that runs against the vendor's adapter, which
talks to a server that speaks the vendor's protocol; – is what the vendor does not offer, with the
reason below the table. [Providers](providers.md#test-a-vendor) says how to run them.

This page is made by `make docs`.

"""


def page() -> str:
    """Return the text of the page."""
    return _HEAD + table()


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
