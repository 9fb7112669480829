"""What tests of whole processes share: a running stack, and its words when a test fails."""

import gc
import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path, PurePath
from typing import Any

import hypothesis
import pytest
import structlog
from anyio.from_thread import BlockingPortal, start_blocking_portal
from xdist.scheduler.loadscope import LoadScopeScheduling

from services.speech.settings import PERSONAS
from services.task.settings import DatabaseSettings
from services.task.storage import migrated
from tests.support.collector import Collector, collecting
from tests.support.postgres import PostgresServer, postgres_server
from tests.support.stack import Stack

TEST_PERSONAS = Path(__file__).parent / "data" / "personas"
SHARING_FOLDERS = ("browser", "e2e", "examples", "models")
"""Their tests share a stack, or loaded models."""
SHARING_A_BROWSER = {
    f"tests/browser/{name}.py"
    for name in (
        *("test_blendshape", "test_built", "test_layout", "test_page", "test_vendor_player"),
        "test_widget",
    )
}
"""Of those folders, the files whose tests need only a browser; they share a worker."""
CLIENTS = "clients"
"""The folder of tests that need toolchains, and that no other run takes."""
LONG_FILES = (
    "tests/crashes/test_replicas.py",
    "tests/unit/task/lifecycle/test_no_leaks.py",
    *(
        f"tests/engine/{name}.py"
        for name in ("test_whep", "test_drive_socket", "test_forgery", "test_workers")
    ),
    *(
        f"tests/gateway/{name}.py"
        for name in ("test_socket", "test_described", "test_hostile_media", "test_owners")
    ),
    *(f"tests/rpc/avatar/{name}.py" for name in ("test_drive", "test_links")),
    *(f"tests/rpc/runtime/{name}.py" for name in ("test_liveness", "test_garbage")),
    "tests/rpc/speech/test_listening.py",
)
"""They take a while, and most of them wait: best while those that share keep the cores busy."""

LATER = 0.3
"""The part of the time after which unit tests begin."""

# What is loaded while tests are collected stays: to look for garbage in it, again and again, takes
# a third of the time.
gc.disable()

GARBAGE = 10_000
"""The new objects after which it is looked for; by default 700."""

# What tests write need not outlive them: in memory, nobody waits for a disk. The processes that
# tests start write where TMPDIR says.
MEMORY = Path("/dev/shm")
ROOM_BYTES = 2 << 30


def has_room(folder: Path) -> bool:
    """Whether all that tests write fits into a folder, and what they put there may be run."""
    return (
        folder.is_dir()
        and os.access(folder, os.W_OK)
        and shutil.disk_usage(folder).free >= ROOM_BYTES
        and not os.statvfs(folder).f_flag & os.ST_NOEXEC
    )


# Where rich is installed, structlog draws tracebacks in frames, with all variables. Each takes
# longer than most tests, and is read only if one fails.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(
            colors=False, exception_formatter=structlog.dev.plain_traceback
        ),
    ]
)

# A busy machine is no reason to fail.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


@pytest.fixture(scope="session", autouse=True)
def no_authorities(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Trust nobody outside, for nobody is asked: reading 150 certificates for each client takes
    longer than most tests.
    """
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
        monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path_factory.mktemp("authorities")))
        yield


@pytest.fixture(scope="session")
def postgres_database() -> Iterator[PostgresServer]:
    """A database for this worker's tests, one after the other."""
    with postgres_server() as server, server.database() as database:
        yield database


@pytest.fixture
def postgres_url(postgres_database: PostgresServer) -> str:
    """An empty database."""
    postgres_database.execute(
        "DROP SCHEMA IF EXISTS avatar CASCADE;"
        " DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO public"
    )
    return postgres_database.url


@pytest.fixture(scope="session")
def journal_database(
    portal: BlockingPortal, postgres_database: PostgresServer
) -> Iterator[PostgresServer]:
    """A database with the journal's tables: to make them takes longer than to empty them."""
    with postgres_database.database() as database:
        portal.call(migrated, DatabaseSettings(database=database.url))
        yield database


@pytest.fixture
def journal_url(journal_database: PostgresServer) -> str:
    """A database in which the journal's tables are, and nothing is in them."""
    journal_database.execute(
        "DO $$ DECLARE name text; BEGIN"
        " FOR name IN SELECT tablename FROM pg_tables"
        "   WHERE schemaname = 'public' AND tablename <> 'migrations'"
        " LOOP EXECUTE format('DELETE FROM %I', name); END LOOP; END $$"
    )
    return journal_database.url


@pytest.fixture(scope="session")
def portal() -> Iterator[BlockingPortal]:
    """A loop and a thread for what all tests share, so that no test's loop must live for it."""
    with start_blocking_portal() as portal:
        yield portal


@pytest.fixture(scope="session")
def collector(portal: BlockingPortal) -> Iterator[Collector]:
    """Where the shared processes send their traces."""
    with portal.wrap_async_context_manager(collecting()) as collector:
        yield collector


@pytest.fixture(scope="session")
def personas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The personas that come with Parley, and the tests' own."""
    folder = tmp_path_factory.mktemp("personas")
    for file in (*PERSONAS.glob("*.toml"), *TEST_PERSONAS.glob("*.toml")):
        shutil.copy(file, folder)
    return folder


def pytest_configure(config: pytest.Config) -> None:
    """Keep what tests write in memory, for the workers of this run, too.

    It goes with the run: processes that were killed leave what nobody else removes. What builds of
    clients write is too much.
    """
    if config.getoption("record") and config.getoption("thorough"):
        raise pytest.UsageError("--thorough recalls nothing that --record could have recorded")
    is_of_clients = any("tests/clients" in argument for argument in config.args)
    if "TMPDIR" in os.environ or is_of_clients or not has_room(MEMORY):
        return
    folder = tempfile.mkdtemp(prefix="t", dir=MEMORY)
    # PostgreSQL runs as a user of its own.
    os.chmod(folder, 0o711)
    config.add_cleanup(partial(shutil.rmtree, folder, ignore_errors=True))
    os.environ["TMPDIR"] = tempfile.tempdir = folder


def pytest_addoption(parser: pytest.Parser) -> None:
    """Choose on what the shared stack stands, and how much the models are asked."""
    parser.addoption("--journal", choices=("sqlite", "postgres"), default="sqlite")
    parser.addoption("--unfaithful", action="store_true", help="the journal and the cloud fail")
    parser.addoption("--thorough", action="store_true", help="the models are asked everything")
    parser.addoption("--record", action="store_true", help="what models hear is recorded anew")


@pytest.fixture(scope="session")
def journal(request: pytest.FixtureRequest) -> dict[str, str]:
    """What the task service is told of its database, if it is not the compose file's."""
    if request.config.getoption("journal") == "sqlite":
        return {}
    server: PostgresServer = request.getfixturevalue("postgres_database")
    return {"TASK_DATABASE": server.url}


def folder_of(nodeid: str) -> str:
    """The folder under tests/ that a test is in."""
    return nodeid.split("/")[1]


def file_of(nodeid: str) -> str:
    """The file that a test is in."""
    return nodeid.partition("::")[0]


def is_sharing(nodeid: str) -> bool:
    """Whether the test runs on the same worker as the others of its folder."""
    return folder_of(nodeid) in SHARING_FOLDERS and file_of(nodeid) not in SHARING_A_BROWSER


def pytest_collection(session: pytest.Session) -> None:
    """Load a part of the test files before all of them.

    Pytest compiles each, and keeps the outcome for the next that loads it. On a fresh clone workers
    that begin with the same file would compile all of them, each for itself.
    """
    number = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    if not number or session.config.args_source is not pytest.Config.ArgsSource.TESTPATHS:
        return
    root = Path(__file__).parent
    files = sorted(path.relative_to(root.parent) for path in root.rglob("test_*.py"))
    ours = files[int(number) :: int(os.environ["PYTEST_XDIST_WORKER_COUNT"])]
    for file in ours:
        if folder_of(str(file)) != CLIENTS:
            # What is wrong with a file is said when the tests are collected from it.
            with suppress(Exception):
                import_module(".".join(file.with_suffix("").parts))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests into the order in which the workers take them.

    What takes long begins, so that no worker is left alone with it at the end. The files of each
    folder are spread over the time after it: in some the tests compute, in others most of them
    wait, and together they keep the cores busy all the time.
    """
    groups: dict[tuple[str, ...], list[str]] = {}
    for file in dict.fromkeys(file_of(item.nodeid) for item in items):
        groups.setdefault(PurePath(file).parent.parts[:3], []).append(file)
    place = {
        file: index / len(files) for files in groups.values() for index, file in enumerate(files)
    }
    # Short ones are the last, so that all workers end at once.
    place |= {
        file: LATER + (1 - LATER) * at for file, at in place.items() if folder_of(file) == "unit"
    }
    place |= dict.fromkeys(LONG_FILES, -1.0)
    items.sort(key=lambda item: (not is_sharing(item.nodeid), place[file_of(item.nodeid)]))


def pytest_collection_finish() -> None:
    """Look for garbage from now on, in what the tests make.

    Not as often as by default: each test makes applications and servers whose parts all stay until
    its end.
    """
    gc.freeze()
    gc.set_threshold(GARBAGE)
    gc.enable()


class CostlySharing(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """Hands files to workers, but all that share a stack or a browser to one of them.

    The `loadgroup` of pytest-xdist 3.8 does nothing under pytest 9.2, whose node ids are no text.
    """

    def _split_scope(self, nodeid: str) -> str:
        if file_of(nodeid) in SHARING_A_BROWSER:
            return "a browser"
        return folder_of(nodeid) if is_sharing(nodeid) else file_of(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> CostlySharing:
    """Share the tests among the workers."""
    return CostlySharing(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add what the processes said to the report of a failure."""
    report = yield
    used = getattr(item, "funcargs", {}).get("stack")
    if report.failed and isinstance(used, Stack):
        report.sections.append(("processes", used.tell()))
    return report
