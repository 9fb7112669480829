"""The command `parley certificates`."""

from pathlib import Path
from typing import Annotated

import typer

from parley.certificates.issuing import issue
from parley.terminal.console import console, fail


def issue_certificates(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", file_okay=False, help="Where they are kept.")
    ],
) -> None:
    """Issue a certificate for each service, by an authority of their own; again to renew them."""
    try:
        issued = issue(folder)
    except (OSError, ValueError) as error:
        fail(error)
    for each in issued:
        console.out(each, highlight=False)
