"""Decodes audio files of strangers, each in a process of its own."""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Mapping
from contextlib import suppress
from typing import BinaryIO

from engine.sources.decoding_process import MAX_SOUND_S, Verdict
from engine.tasks.stage import FeedError

WITHIN_S = 30.0
MAX_PROCESSES = 2
# The interpreter runs isolated (-I), so the module path is passed on.
PROGRAM = (
    "import sys; sys.path[:] = sys.argv[1:];"
    " from engine.sources.decoding_process import main; main()"
)
# Some Pythons do not start without these.
PASSED_VARIABLES = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
REASONS: Mapping[int, str] = {
    Verdict.UNKNOWN_FORMAT: "is neither MP3 nor WAV",
    Verdict.SILENT: "holds no sound",
    Verdict.DAMAGED: "is damaged",
    Verdict.TOO_LONG: f"is longer than {MAX_SOUND_S} s",
}


class Decoder:
    """Decodes at most two files at a time, first come, first served."""

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(MAX_PROCESSES)

    async def decode(self, source: BinaryIO, target: BinaryIO) -> None:
        """Write the sound of a file, in the form of `decoding_process`; raises `FeedError`."""
        source.seek(0)
        async with self._slots:
            code = await _run(source, target)
        if code != Verdict.DECODED:
            raise FeedError(f"the audio file {REASONS.get(code, 'took too much to decode')}")
        target.seek(0)


async def _run(source: BinaryIO, target: BinaryIO) -> int:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-c", PROGRAM, *sys.path),
        env={name: os.environ[name] for name in PASSED_VARIABLES if name in os.environ},
        stdin=source,
        stdout=target,
        stderr=DEVNULL,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(WITHIN_S):
            return await process.wait()
    except TimeoutError:
        raise FeedError(f"the audio file was not decoded within {WITHIN_S:.0f} s") from None
    finally:
        await _end(process)


async def _end(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()
