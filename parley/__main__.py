"""The `parley` command."""

import asyncio
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from enum import StrEnum
from importlib.metadata import version
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import dotenv
import typer

from parley import doctor, people, tasks, usage
from parley.certificates import issue, tls_settings
from parley.checks import check_processes
from parley.command import ApiKey, Tenant, Url, console, fail, with_gateway
from parley.console.command import open_console
from parley.current_run import CurrentRun, beside_run, noted
from parley.database import database_of, require_reachable, with_database
from parley.finding import Finding
from parley.findings import examine
from parley.gateway import Gateway, Question
from parley.keepsakes import complete_with_kept
from parley.keys import keys_app
from parley.listing import IsJson, show
from parley.models import models_app
from parley.plan import ROOT, PlanError, processes, require_free_ports
from parley.supervisor import Supervisor
from parley.talk import Call
from parley.terminal import printable
from parley.webhooks import list_audit, webhooks_app

app = typer.Typer(
    help="Talk with digital humans: run everything, try it out, find problems.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
tasks_app = typer.Typer(help="Digital humans on air.", no_args_is_help=True)
journal_app = typer.Typer(help="The journal's SQLite file.", no_args_is_help=True)
persona_app = typer.Typer(help="Personas of digital humans.", no_args_is_help=True)
app.add_typer(journal_app, name="journal")
app.add_typer(keys_app, name="keys")
app.add_typer(models_app, name="models")
app.add_typer(persona_app, name="persona")
app.add_typer(tasks_app, name="tasks")
app.add_typer(webhooks_app, name="webhooks")
app.command("audit")(list_audit)
app.command("console")(open_console)


def require_user(user: str) -> str:
    """Return the id of a user; raises typer.BadParameter for none."""
    if not user:
        raise typer.BadParameter("must name a user, and is empty")
    return user


EveryTenant = Annotated[
    bool,
    typer.Option(
        "--every-tenant", help="Those of all tenants, with a key of the default tenant's operator."
    ),
]


class Grouping(StrEnum):
    """What a row of a report on usage stands for."""

    user = "user"
    task = "task"


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


@app.command()
def up(
    replicas: Annotated[
        int,
        typer.Option(min=1, max=20, help="How many of each service; more than 1 share a database."),
    ] = 1,
    database: Annotated[
        str | None,
        typer.Option(
            metavar="postgresql://…", help="Where tasks are kept; default: TASK_DATABASE."
        ),
    ] = None,
    tls: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            file_okay=False,
            help="Encrypt between the processes, with the certificates of `parley certificates`.",
        ),
    ] = None,
) -> None:
    """Run everything here until Ctrl-C."""
    try:
        raise typer.Exit(asyncio.run(_up(replicas, database, tls)))
    except (PlanError, OSError) as error:
        fail(error)


async def _up(replicas: int, database: str | None, tls: Path | None) -> int:
    given = with_database(os.environ, database, replicas=replicas)
    if tls is not None:
        given = {**given, **tls_settings(tls)}
    if shared := database_of(given, "TASK_DATABASE"):
        await require_reachable(shared)
    environment = complete_with_kept(given, replicas=replicas)
    planned = processes(environment, replicas=replicas)
    require_free_ports(planned)
    with noted(CurrentRun(tls=tls, replicas=replicas), environment):
        return await Supervisor(planned, environment, console).run()


@app.command("env")
def print_environment() -> None:
    """Print the environment for processes started by hand: eval "$(parley env)"."""
    try:
        completed = complete_with_kept(os.environ)
    except (PlanError, OSError) as error:
        fail(error)
    # The values of .env were not in the environment before this command.
    needed = dotenv.dotenv_values(ROOT / ".env").keys() | (completed.keys() - os.environ.keys())
    for name in sorted(needed & completed.keys()):
        console.out(f"export {name}={shlex.quote(completed[name])}", highlight=False)


@app.command("certificates")
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


@app.command("doctor")
def examine_machine() -> None:
    """Report what is wrong on this machine and how to fix it."""
    try:
        with console.status("Examining this machine"):
            found = asyncio.run(_found(beside_run(os.environ)))
    except OSError as error:
        fail(error)
    raise typer.Exit(doctor.show(found, console))


@journal_app.command("check")
def check_journal() -> None:
    """Report what is wrong with the file of a task service that is stopped."""
    raise typer.Exit(_repair("check"))


@journal_app.command("recover")
def recover_journal() -> None:
    """Write a damaged file anew with all that can be read of it, and keep the old one beside it."""
    raise typer.Exit(_repair("recover"))


@persona_app.command("check")
def check_personas(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Persona files; default: all that are configured.")
    ] = None,
) -> None:
    """Report everything wrong with persona files; docs/personas.md describes the format."""
    # The speech service's own check: it reports here what it would report at startup.
    words = (sys.executable, "-m", "services.speech.persona_check", *map(str, files or ()))
    raise typer.Exit(subprocess.run(words, check=False).returncode)


@app.command("providers")
def list_providers(
    is_json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
) -> None:
    """List who can recognise, reply and speak, and what can be set for each."""
    # The speech service's own list: what it would read at startup.
    words = (sys.executable, "-m", "services.speech.provider_list", *(["--json"] * is_json))
    raise typer.Exit(subprocess.run(words, check=False).returncode)


def _repair(what: str) -> int:
    words = (sys.executable, "-m", "services.task.repair", what)
    return subprocess.run(words, check=False).returncode


async def _found(environment: Mapping[str, str]) -> list[Finding]:
    machine, processes = await asyncio.gather(examine(environment), check_processes(environment))
    return [*machine, *processes]


@app.command()
def talk(
    wav: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="A recorded question.")
    ] = None,
    text: Annotated[str | None, typer.Option(help="A written question.")] = None,
    persona: Annotated[str | None, typer.Option(help="Who replies.")] = None,
    lang: Annotated[str | None, typer.Option(help="Language, such as en or zh.")] = None,
    is_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Hold a complete call: put on air, ask, hear the reply, stop."""
    if wav is not None and text is not None:
        raise typer.BadParameter("give --wav or --text, not both")

    async def hold(gateway: Gateway) -> None:
        call = Call(gateway, console, is_json=is_json)
        question = Question(wav=wav, text=text, language_code=lang)
        await call.run(question, persona_id=persona, language_code=lang)

    with_gateway(url, api_key, hold)


@tasks_app.command("list")
def list_tasks(
    is_all: Annotated[bool, typer.Option("--all", help="Include tasks that have ended.")] = False,
    is_of_every_tenant: EveryTenant = False,
    is_json: IsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    tenant: Tenant = None,
) -> None:
    """List the running tasks."""

    async def show_tasks(gateway: Gateway) -> None:
        states = () if is_all else tasks.LIVE_STATES
        found = await gateway.list_tasks(states, is_of_every_tenant=is_of_every_tenant)
        show(found, tasks.table_of, is_json=is_json)

    with_gateway(url, api_key, show_tasks, tenant_id=tenant)


@tasks_app.command("stop")
def stop_task(
    task_id: Annotated[
        str | None, typer.Argument(help="The task; see `parley tasks list`.")
    ] = None,
    is_all: Annotated[bool, typer.Option("--all", help="All running tasks.")] = False,
    is_of_every_tenant: EveryTenant = False,
    url: Url = None,
    api_key: ApiKey = None,
    tenant: Tenant = None,
) -> None:
    """Stop one task, or all."""
    if (task_id is None) != is_all:
        raise typer.BadParameter("name one task, or use --all")

    async def stop(gateway: Gateway) -> None:
        if task_id is None:
            await tasks.stop_all(gateway, console, is_of_every_tenant=is_of_every_tenant)
        else:
            await tasks.stop(gateway, task_id, console)

    with_gateway(url, api_key, stop, tenant_id=tenant)


@app.command("usage")
def report_usage(
    by: Annotated[
        Grouping, typer.Option(help="Rows per user and day, or per task.")
    ] = Grouping.user,
    first: Annotated[
        str | None, typer.Option("--from", help="First day, such as 2026-01-31; UTC.")
    ] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last day; default: today.")] = None,
    user: Annotated[str | None, typer.Option(help="Only tasks of this user.")] = None,
    is_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    url: Url = None,
    api_key: ApiKey = None,
    tenant: Tenant = None,
) -> None:
    """Report what tasks cost; by default this month, per user and day."""
    given = {"groupBy": by.value, "from": first, "to": last, "userId": user}
    params = {name: value for name, value in given.items() if value is not None}

    async def show_usage(gateway: Gateway) -> None:
        if is_csv:
            console.out((await gateway.usage_csv(params)).rstrip(), highlight=False)
        else:
            show(await gateway.usage(params), usage.table_of)

    with_gateway(url, api_key, show_usage, tenant_id=tenant)


@app.command()
def reconcile(
    is_dry: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would be done.")
    ] = False,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Compare tasks with what the cloud runs, and settle the difference."""

    async def settle(gateway: Gateway) -> None:
        usage.show_findings(await gateway.reconcile(is_dry=is_dry), console, is_dry=is_dry)

    with_gateway(url, api_key, settle)


@app.command("export")
def export_user(
    user: Annotated[str, typer.Option(callback=require_user, help="Whose data.")],
    output: Annotated[
        Path | None, typer.Option(dir_okay=False, help="New file to write; default: print.")
    ] = None,
    tenant: Tenant = None,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Hand out all that is kept of a user, one JSON object per line."""

    async def export(gateway: Gateway) -> None:
        if output is None:
            await people.export(gateway, user, sys.stdout)
        else:
            await people.export_to(gateway, user, output)

    with_gateway(url, api_key, export, tenant_id=tenant)


@app.command("erase")
def erase_user(
    user: Annotated[str, typer.Option(callback=require_user, help="Whose data.")],
    is_sure: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    tenant: Tenant = None,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Remove all that is kept of a user; what the tasks cost stays, without the user."""
    if not is_sure:
        typer.confirm(f"Remove all that is kept of {printable(user)}?", abort=True)

    async def erase(gateway: Gateway) -> None:
        await people.erase(gateway, user, console)

    with_gateway(url, api_key, erase, tenant_id=tenant)


if __name__ == "__main__":
    app()
