"""The `parley` command."""

import sys
from importlib.metadata import version
from io import TextIOWrapper
from typing import Annotated

import dotenv
import typer

from parley.lazy_commands import lazy_group
from parley.plan.errors import PlanError
from parley.plan.paths import ROOT
from parley.terminal.console import console, fail

app = typer.Typer(
    cls=lazy_group(
        audit="parley.administration.audit:list_audit",
        console="parley.console.command:open_console",
        up="parley.supervision.command:up",
        env="parley.supervision.command:print_environment",
        certificates="parley.certificates.command:issue_certificates",
        doctor="parley.doctor.command:examine_machine",
        providers="parley.administration.services:list_providers",
        talk="parley.talk:talk",
        usage="parley.administration.usage:report_usage",
        reconcile="parley.administration.reconcile:reconcile",
        export="parley.administration.user_data:export_user",
        erase="parley.administration.user_data:erase_user",
        journal="parley.administration.services:journal_app",
        keys="parley.administration.keys:keys_app",
        models="parley.models:models_app",
        persona="parley.administration.services:persona_app",
        tasks="parley.administration.tasks:tasks_app",
        webhooks="parley.administration.webhooks:webhooks_app",
    ),
    help="Talk with digital humans: run everything, try it out, find problems.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _show_version(is_wanted: bool) -> None:
    if is_wanted:
        console.print(f"parley {version('parley')}", highlight=False)
        raise typer.Exit


@app.callback()
def prepare(
    is_version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Read .env, without overriding what is already set."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal without ✔ shows a ? instead of failing.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        dotenv.load_dotenv(ROOT / ".env", override=False)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        fail(PlanError(f"{ROOT / '.env'} cannot be read: {reason}"))


if __name__ == "__main__":
    app()
