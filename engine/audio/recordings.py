"""What was actually played, kept per task and drive for debugging, within a disk budget."""

import wave
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import structlog

from engine.audio.sound import SAMPLE_BYTES, Samples

log = structlog.get_logger()

# No single drive may displace all others.
SHARE = 4
MAX_RECORDINGS = 2000
EMPTY_SAMPLE_RATE = 16_000


class Recording:
    """The mono PCM that one drive has played so far, at its own sample rate."""

    def __init__(self, path: Path, limit: int, *, stream_id: str) -> None:
        self.stream_id = stream_id
        self.sample_rate = 0
        self.size = 0
        self._limit = limit
        self._path = path
        self._file: BinaryIO | None = None

    def write(self, samples: Samples, sample_rate: int) -> None:
        """Append; anything beyond the budget of one drive, or of the disk, is dropped."""
        pcm = samples.tobytes()
        if self.size + len(pcm) > self._limit:
            return
        try:
            if self._file is None:
                self.sample_rate = sample_rate
                self._path.touch(mode=0o600)
                self._file = self._path.open("wb", buffering=256 * 1024)
            self._file.write(pcm)
        except OSError as error:
            self._give_up(error)
            return
        self.size += len(pcm)

    def read_wav(self) -> bytes:
        """Return what was played so far as a WAV file."""
        if self._file is not None:
            try:
                self._file.flush()
            except OSError as error:
                self._give_up(error)
        if not self.size:
            return write_wav(b"", EMPTY_SAMPLE_RATE)
        return write_wav(self._path.read_bytes(), self.sample_rate)

    def close(self) -> None:
        """Record that nothing more will be played."""
        try:
            self._close_file()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        """Keep nothing of this drive; whoever watches sees and hears it all the same."""
        log.warning("recording not kept", error=error.strerror)
        with suppress(OSError):
            self.delete()

    def delete(self) -> None:
        """Delete the file, and keep nothing further."""
        with suppress(OSError):
            self._close_file()
        self._limit = 0
        self.size = 0
        self._path.unlink(missing_ok=True)

    def _close_file(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()


class Recordings:
    """All recordings; the oldest are deleted when the budget is used up."""

    def __init__(self, folder: Path, budget: int) -> None:
        self._folder = folder
        self._budget = budget
        self._kept: OrderedDict[str, Recording] = OrderedDict()

    def open(self, drive_id: str, *, stream_id: str) -> Recording:
        """Start the recording of a stream's drive, replacing an earlier one with the same id."""
        if earlier := self._kept.pop(drive_id, None):
            earlier.delete()
        while self._kept and (
            len(self._kept) >= MAX_RECORDINGS
            or sum(recording.size for recording in self._kept.values())
            > self._budget - self._budget // SHARE
        ):
            self._kept.popitem(last=False)[1].delete()
        path = self._folder / f"{drive_id}.pcm"
        recording = Recording(path, self._budget // SHARE, stream_id=stream_id)
        self._kept[drive_id] = recording
        return recording

    def delete(self, *, stream_id: str | None = None) -> None:
        """Delete those of a stream, or all; of what is being played, nothing more is kept.

        Raises OSError for a file that cannot be deleted; it is tried again the next time.
        """
        for drive_id, recording in list(self._kept.items()):
            if stream_id in (None, recording.stream_id):
                recording.delete()
                del self._kept[drive_id]

    def close(self) -> None:
        """Close every file."""
        for recording in self._kept.values():
            recording.close()

    def get(self, drive_id: str) -> Recording | None:
        """Return the recording of a drive, None once deleted."""
        return self._kept.get(drive_id)


@contextmanager
def keeping_recordings(folder: Path | None, budget: int) -> Iterator[Recordings]:
    """Open recordings in a new subfolder that is deleted at the end."""
    with TemporaryDirectory(prefix="engine-recordings-", dir=folder) as path:
        recordings = Recordings(Path(path), budget)
        try:
            yield recordings
        finally:
            recordings.close()


def write_wav(pcm: bytes, sample_rate: int) -> bytes:
    """Return mono 16-bit PCM as a WAV file."""
    file = BytesIO()
    with wave.open(file, "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(SAMPLE_BYTES)
        wav.setframerate(sample_rate)
        wav.writeframes(pcm)
    return file.getvalue()
