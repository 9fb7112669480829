"""`parley journal`, `parley persona` and `parley providers`, which the services carry out."""

from pathlib import Path
from typing import Annotated

import typer

from parley.administration.service_module import run_module

journal_app = typer.Typer(help="The journal's SQLite file.", no_args_is_help=True)
persona_app = typer.Typer(help="Personas of digital humans.", no_args_is_help=True)


@journal_app.command("check")
def check_journal() -> None:
    """Report what is wrong with the file of a task service that is stopped."""
    run_module("services.task.repair", "check")


@journal_app.command("recover")
def recover_journal() -> None:
    """Write a damaged file anew with all that can be read of it, and keep the old one beside it."""
    run_module("services.task.repair", "recover")


@persona_app.command("check")
def check_personas(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Persona files; default: all that are configured.")
    ] = None,
) -> None:
    """Report everything wrong with persona files; docs/personas.md describes the format."""
    run_module("services.speech.persona_check", *map(str, files or ()))


def list_providers(
    is_json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
) -> None:
    """List who can recognise, reply and speak, and what can be set for each."""
    run_module("services.speech.provider_list", *(["--json"] * is_json))
