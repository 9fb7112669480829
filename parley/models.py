"""`parley models`: download, list and verify the models of the embedded providers."""

import contextlib
import sys
from collections.abc import Iterator
from typing import Annotated

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from services.runtime.settings.environment import SettingsError, load
from services.speech.embedded.library import (
    LibrarySettings,
    choose_language_model,
    default_models,
    open_store,
)
from services.speech.embedded.manifest import ModelFile
from services.speech.embedded.store import (
    Activity,
    FileState,
    ModelPlan,
    ModelStore,
    ModelStoreError,
    OnProgress,
    Plan,
)
from services.speech.embedded.store import Progress as StoreProgress

models_app = typer.Typer(
    help="Download, list and verify the models of the embedded providers.", no_args_is_help=True
)

_console = Console(soft_wrap=True)
_errors = Console(stderr=True, soft_wrap=True)

Names = Annotated[
    list[str] | None,
    typer.Argument(help="Names of models; default: those that the embedded providers need."),
]


@models_app.command()
def pull(names: Names = None) -> None:
    """Download what is missing; resumes an interrupted pull."""
    with _plain_errors():
        store, wanted = _open(names)
        plan = store.plan(wanted)
        _console.print(describe_plan(plan))
        with _progress() as show:
            store.ensure(wanted, progress=show)
        _console.print("The models are ready.")


@models_app.command("list")
def list_models() -> None:
    """List all models, which are present, and which are used by default."""
    with _plain_errors():
        store, wanted = _open(None)
        table = Table(box=None)
        table.add_column("Model", no_wrap=True)
        for heading in ("What", "For", "Licence", "Size", "Here", "Default"):
            table.add_column(heading)
        for plan in store.plan(store.manifest.models).models:
            model = plan.model
            table.add_row(
                model.name,
                model.title,
                model.role,
                model.licence,
                decimal(model.size),
                _presence(plan),
                "yes" if model.name in wanted else "",
            )
        _console.print(table)


@models_app.command()
def verify(names: Names = None) -> None:
    """Read all files again and compare their SHA-256; fails if any is missing or wrong."""
    with _plain_errors():
        store, wanted = _open(names)
        with _progress() as show:
            states = store.verify(wanted, progress=show)
        for file, state in states.items():
            _console.print(f"{file.label}: {state.value}")
        wrong = [file for file, state in states.items() if state is not FileState.VERIFIED]
        if wrong:
            raise ModelStoreError("some files are wrong or missing: run `parley models pull`")


def describe_plan(plan: Plan) -> str:
    """Describe what a pull will download, before it starts."""
    missing = [models for models in plan.models if not models.is_complete]
    if not missing:
        return f"All {len(plan.models)} models are present ({decimal(plan.total_bytes)})."
    lines = [
        f"{decimal(plan.fetch_bytes)} to download, {decimal(plan.present_bytes)} of "
        f"{decimal(plan.total_bytes)} present:"
    ]
    lines += [f"  {item.model.title}: {decimal(item.fetch_bytes)}" for item in missing]
    return "\n".join(lines)


def _open(names: list[str] | None) -> tuple[ModelStore, tuple[str, ...]]:
    settings = load(LibrarySettings)
    store = open_store(settings)
    wanted = tuple(names) if names else default_models(choose_language_model(settings))
    for name in wanted:
        if name not in store.manifest.models:
            known = ", ".join(store.manifest.models)
            raise typer.BadParameter(f"no model is named {name!r}; the models are {known}")
    return store, wanted


def _presence(plan: ModelPlan) -> str:
    if plan.is_complete:
        return "yes"
    return "partly" if plan.present_bytes else "no"


def _progress() -> contextlib.AbstractContextManager[OnProgress]:
    """Progress bars on a terminal; plain lines in a file."""
    is_watched = sys.stderr.isatty()
    return _progress_bars() if is_watched else contextlib.nullcontext(_progress_lines())


def _progress_lines() -> OnProgress:
    """One line per file, when work on it starts."""
    told: set[ModelFile] = set()

    def show(progress: StoreProgress) -> None:
        if progress.file not in told and progress.activity is not Activity.WAITING:
            told.add(progress.file)
            activity = progress.activity.value.capitalize()
            line = f"{activity} {progress.file.label} ({decimal(progress.total)})"
            _errors.print(line, highlight=False)

    return show


@contextlib.contextmanager
def _progress_bars() -> Iterator[OnProgress]:
    """One bar per file, added when work on it starts."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=_errors) as bars:
        tasks: dict[ModelFile, TaskID] = {}

        def show(progress: StoreProgress) -> None:
            if progress.file not in tasks:
                tasks[progress.file] = bars.add_task("")
            bars.update(
                tasks[progress.file],
                description=f"{progress.activity.value} {progress.file.label}",
                completed=progress.done,
                total=progress.total,
            )

        yield show


@contextlib.contextmanager
def _plain_errors() -> Iterator[None]:
    """Exit with the reason instead of a traceback."""
    try:
        yield
    except (ModelStoreError, OSError) as error:
        _errors.print(str(error), style="red", highlight=False, markup=False)
        raise typer.Exit(1) from None
    except SettingsError as error:
        _errors.print(str(error), style="red", highlight=False, markup=False)
        raise typer.Exit(2) from None
