"""Writes the engine's log in a thread, as all of Parley's processes do."""

import atexit
import logging
import os
import select
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from logging.handlers import QueueHandler
from queue import Empty, SimpleQueue

MAX_LINES = 1_000
"""How many lines wait for a collector; what is logged beyond them is dropped, and counted."""

LAST_LINES_S = 2.0
"""How long the end of a process waits for a collector that does not read."""

_STDERR = 2


class LogQueue(QueueHandler):
    """Takes lines without ever waiting, formatted in the thread that logs them.

    The queue is one that may be put into while it is being put into, as by a destructor that logs.
    """

    queue: SimpleQueue[logging.LogRecord | None]

    def __init__(self) -> None:
        super().__init__(SimpleQueue())
        self._dropped = 0

    def enqueue(self, record: logging.LogRecord) -> None:
        """Take a line, or drop it."""
        # Handlers hold their lock here.
        if self.queue.qsize() < MAX_LINES:
            self.queue.put(record)
        else:
            self._dropped += 1

    def end(self) -> None:
        """Let no more lines follow."""
        self.queue.put(None)

    def report_dropped(self, report: Callable[[int], None]) -> None:
        """Have somebody log how many lines were dropped since the last report, if any were."""
        if self._dropped:
            self.acquire()
            try:
                count, self._dropped = self._dropped, 0
                report(count)
                if self._dropped:
                    # The report itself: the next one is of all.
                    self._dropped = count
            finally:
                self.release()

    def batches(self) -> Iterator[list[str]]:
        """Wait for lines and yield all that are there, until the end."""
        has_ended = False
        # A report may come after the end.
        while not (has_ended and self.queue.empty()):
            batch = [self.queue.get()]
            with suppress(Empty):
                while batch[-1] is not None:
                    batch.append(self.queue.get_nowait())
            has_ended = has_ended or batch[-1] is None
            yield [record.getMessage() for record in batch if record is not None]


def write_log(lines: LogQueue, *, report_dropped: Callable[[int], None]) -> None:
    """Write lines to stderr as they come, until the process ends.

    `report_dropped` logs how many were dropped; it is called once there is room again.
    """

    def write() -> None:
        for batch in lines.batches():
            # Now there is room for a report.
            lines.report_dropped(report_dropped)
            _write("".join(f"{line}\n" for line in batch))

    def finish() -> None:
        lines.end()
        writer.join(LAST_LINES_S)

    writer = threading.Thread(target=write, name="log", daemon=True)
    writer.start()
    atexit.register(finish)


def _write(text: str) -> None:
    # Not by sys.stderr: at its end the interpreter would wait for the lock that a write holds.
    left = text.encode(errors="backslashreplace")
    with suppress(OSError):
        while left:
            try:
                left = left[os.write(_STDERR, left) :]
            except BlockingIOError:
                # Whoever shares stderr has made it non-blocking.
                select.select([], [_STDERR], [])
